// Where replication stands, and messages given another chance.
#pragma once

#include <string>
#include <vector>

#include "config/replication.hpp"
#include "service/ports.hpp"

namespace bale::service {

/// One queue of the configuration.
struct QueueStatus {
  std::string stage;  ///< "source", "relay" or "target"
  Region region;
  QueueName queue;
  bool exists = false;
  queue::QueueDepth depth;
  std::uint64_t failed = 0;  ///< messages in its dead-letter queue
};

/// Archives on their way in one staging bucket.
struct StagingStatus {
  Region region;
  BucketName bucket;
  bool exists = false;
  std::uint64_t archives = 0;
  ByteCount bytes = 0;
  std::optional<TimePoint> oldest;
};

struct ReplicationStatus {
  std::vector<QueueStatus> queues;
  std::vector<StagingStatus> staging;
  /// Nothing waiting, nothing under way, nothing failed.
  bool is_idle() const;
};

/// Counts the archives of a staging bucket.
StagingStatus staging_status(const Region& region, const BucketName& bucket, store::ObjectStore& store);

/// Reads every queue and staging bucket of the configuration. Depths are approximate on AWS.
ReplicationStatus replication_status(const config::ReplicationConfig& config, const Ports& ports);

/// Moves every message of the dead-letter queues back into the queues they came from; each is sent before it is
/// deleted. Returns how many. With `dryrun` only counts.
std::uint64_t redrive_failed(const config::ReplicationConfig& config, const Ports& ports, bool dryrun);

}  // namespace bale::service
