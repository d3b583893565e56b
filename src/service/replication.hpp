// The long-running loops of replicate: source, relay and target, and all of them together.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/replication.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "service/failure_ledger.hpp"
#include "service/health.hpp"
#include "service/levels.hpp"
#include "service/ports.hpp"
#include "telemetry/log.hpp"
#include "telemetry/registry.hpp"

namespace bale::service {

/// Which loops run in this process.
struct Roles {
  bool source = false, relay = false, target = false;
};

/// Counters that the loops raise while they run. Thread-safe.
struct ReplicationCounts {
  std::atomic<std::uint64_t> objects_packed{0}, object_bytes{0}, archives{0}, archive_bytes{0}, objects_gone{0};
  std::atomic<std::uint64_t> deletions_packed{0};  ///< recorded, with `track_deletes`
  std::atomic<std::uint64_t> archives_relayed{0};
  std::atomic<std::uint64_t> archives_landed{0}, objects_landed{0}, objects_kept{0}, backups{0};
  std::atomic<std::uint64_t> failures{0};  ///< things whose newest attempt failed
};

/// Metrics for CloudWatch, as lines of the embedded metric format (telemetry/emf.hpp).
struct EmfOptions {
  std::string name_space;                         ///< of the metrics
  std::function<void(const std::string&)> write;  ///< a line without its end; called on a thread of its own
  std::chrono::seconds interval{60};              ///< CloudWatch's own resolution: more often would only cost more
};

struct ReplicationOptions {
  Roles roles;
  /// Return when the queues of these roles are empty: nothing waiting, in flight or delayed. Else run until a stop is
  /// requested.
  bool until_idle = false;
  /// Only rules of this region; empty: all regions of the configuration.
  Region region;
  std::optional<int> level;          ///< for sources that configure none; absent: chosen by money
  LevelOptions levels{};             ///< how it is chosen
  std::chrono::seconds grace{20};    ///< after a stop request, until work in hand is given up and given back
  std::size_t archives_at_once = 3;  ///< landing in one region
  std::optional<EmfOptions> emf{};
};

/// Runs the loops until idle or stopped. Returns when all work in hand is finished or given back; after a stop request
/// that takes at most `grace` and a few seconds. The loops survive failures of single objects, archives and services:
/// those are logged and kept in a FailureLedger. Borrowed: everything.
class Replication {
 public:
  Replication(const config::ReplicationConfig& config, ReplicationOptions options, const Ports& ports, os::World& world,
              telemetry::Log& log, flow::Pools pools, flow::MemoryBudget& budget);
  ~Replication();

  /// Throws Error{not_found} when the buckets and queues were never made (`replicate init`).
  void run();

  const ReplicationCounts& counts() const noexcept;
  /// Of all_metrics(). Thread-safe.
  telemetry::Registry& metrics() const noexcept;
  /// Messages that the loops hold now.
  std::uint64_t in_hand() const noexcept;
  /// How the loops are that have started.
  std::vector<LoopReport> health() const;
  /// What stands as failed: not what succeeded at a later attempt.
  std::vector<ReplicationFailure> failures() const;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace bale::service
