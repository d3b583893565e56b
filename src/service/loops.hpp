// The loops of replicate, one class per role. Internal to service/.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <vector>

#include "jobs/collect/collector.hpp"
#include "jobs/land/lander.hpp"
#include "jobs/pack/packer.hpp"
#include "service/replication.hpp"

namespace bale::service {

/// What the loops share. Borrowed members outlive them; counts and failures are thread-safe.
struct LoopContext {
  const config::ReplicationConfig& config;
  const ReplicationOptions& options;
  const Ports& ports;
  os::World& world;         ///< its stop token: take no new work
  std::stop_token give_up;  ///< leave work in hand unfinished and give it back
  telemetry::Log& log;
  flow::Pools pools;
  flow::MemoryBudget& budget;
  ReplicationCounts& counts;
  std::function<void(ReplicationFailure)> failed;
};

/// Collects and packs the batches of one rule; gathers the next batch while one is packed.
class SourceLoop {
 public:
  SourceLoop(LoopContext& context, const config::Rule& rule);
  /// Returns when `stop` (idle) or the world's stop is requested and the work in hand is settled.
  void run(std::stop_token stop);

 private:
  void pack(collect::Batch batch);
  LoopContext& context_;
  const config::Rule& rule_;
  collect::Collector collector_;
  pack::Packer packer_;
};

/// Takes archive events from a queue, one message at a time, and has each archive worked on.
class ArchiveLoop {
 public:
  /// `work` brings an archive on its way; it throws, or returns what failed in it; then the message comes back later.
  using Work = std::function<std::vector<ReplicationFailure>(const ObjectAddress&)>;
  ArchiveLoop(LoopContext& context, std::string stage, const Region& region, QueueName queue, Work work);
  /// Runs on the calling thread; several threads may run one loop.
  void run(std::stop_token stop);

 private:
  void take(const queue::Message& message);
  std::vector<ReplicationFailure> work_on(const queue::Message& message);
  LoopContext& context_;
  const std::string stage_;
  queue::MessageQueue& queues_;
  const QueueName queue_;
  const Work work_;
  std::chrono::seconds visibility_;
  queue::VisibilityKeeper keeper_;
};

/// How long a loop waits after a failure that concerns no message (a queue that does not answer), doubling up to a
/// minute.
Milliseconds pause_after(int failures) noexcept;

}  // namespace bale::service
