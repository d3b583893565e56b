// The loops of replicate, one class per role. Internal to service/.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "jobs/collect/collector.hpp"
#include "jobs/land/lander.hpp"
#include "jobs/pack/packer.hpp"
#include "service/health.hpp"
#include "service/levels.hpp"
#include "service/replication.hpp"
#include "service/report.hpp"
#include "service/target_directory.hpp"
#include "telemetry/registry.hpp"

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
  std::atomic<std::uint64_t>& in_hand;  ///< messages that the loops of this process hold
  Health& health;
  telemetry::Registry& registry;  ///< of all_metrics()
  /// An attempt at `work` ended, see FailureLedger::record.
  std::function<void(const std::string& stage, const std::string& work,
                     const std::vector<ReplicationFailure>& failures)>
      attempted;
};

/// Counts messages as held while it lives.
class InHand {
 public:
  InHand(std::atomic<std::uint64_t>& count, std::uint64_t messages) : count_(count), messages_(messages) {
    count_ += messages_;
  }
  ~InHand() { count_ -= messages_; }
  InHand(const InHand&) = delete;
  InHand& operator=(const InHand&) = delete;

 private:
  std::atomic<std::uint64_t>& count_;
  const std::uint64_t messages_;
};

/// Collects and packs the batches of one rule; gathers the next batch while two are packed.
class SourceLoop {
 public:
  /// `levels`: what is known of the levels of its region.
  SourceLoop(LoopContext& context, const config::Rule& rule, RegionLevels& levels);
  /// Returns when `stop` is requested and the work in hand is settled.
  void run(std::stop_token stop);

 private:
  /// Batches that are packed at once: while one ends (its last objects, its archive's upload, its messages' deletion)
  /// the connections work for the next.
  static constexpr std::size_t most_packings = 2;
  using Packings = std::deque<std::future<void>>;
  static void finish(Packings& packings, std::size_t most);
  void tell(const Error& error, Health::Loop& health);
  void pack(const collect::Batch& batch, Health::Loop& health);
  std::vector<collect::Failure> pack_items(const collect::Batch& batch);
  void pack_apart(const BucketName& bucket, const collect::Batch& batch, const std::vector<std::size_t>& indices,
                  std::vector<collect::Failure>& failures);
  void pack_bucket(const BucketName& bucket, const collect::Batch& batch, const std::vector<std::size_t>& indices,
                   std::vector<collect::Failure>& failures);
  pack::PackResult pack_planned(pack::PackPlan plan, const std::vector<pack::Item>& items, const Route& route);
  void count(const BucketName& bucket, const collect::Batch& batch, const std::vector<std::size_t>& indices,
             const pack::PackResult& result, std::vector<collect::Failure>& failures);
  void refuse(const collect::Batch& batch, std::size_t item, std::vector<collect::Failure>& failures);
  void fail(const collect::Batch& batch, std::size_t item, const Error& error, std::vector<collect::Failure>& failures);
  LoopContext& context_;
  const config::Rule& rule_;
  collect::Collector collector_;
  const std::unique_ptr<TargetDirectory> targets_;
  RegionLevels& levels_;
};

/// Takes archive events from a queue, one message at a time, and has each archive worked on.
class ArchiveLoop {
 public:
  /// `work` brings an archive on its way; it throws, or returns what failed in it; then the message comes back later.
  using Work = std::function<std::vector<ReplicationFailure>(const ObjectAddress&)>;
  /// `staging`: the only bucket whose events are worked on; empty: it is not known. An event of another bucket is a
  /// failure of its message, which the dead-letter queue gets in the end.
  ArchiveLoop(LoopContext& context, std::string stage, const Region& region, QueueName queue, BucketName staging,
              Work work);
  /// Runs on the calling thread; several threads may run one loop.
  void run(std::stop_token stop);

 private:
  void take(const queue::Message& message, Health::Loop& health);
  std::vector<ReplicationFailure> work_on(const queue::Message& message);
  void tell(const queue::Message& message, const std::vector<ReplicationFailure>& failures);
  LoopContext& context_;
  const std::string stage_;
  const Region region_;
  queue::MessageQueue& queues_;
  const QueueName queue_;
  const BucketName staging_;
  const Work work_;
  std::chrono::seconds visibility_;
  queue::VisibilityKeeper keeper_;
};

/// Returns how long a loop lets a queue wait for a first message. While idle is watched for it is below a second, which
/// SQS is asked without waiting (a poll under way would have to be waited for in the end). Else 10 s: a service that is
/// stopped ends when its last poll has; the 20 s that SQS allows would halve the requests, 0.05 $ a month and queue.
Milliseconds poll_wait(bool until_idle) noexcept;

/// How long a loop waits after a failure that concerns no message (a queue that does not answer), doubling up to a
/// minute.
Milliseconds pause_after(int failures) noexcept;

}  // namespace bale::service
