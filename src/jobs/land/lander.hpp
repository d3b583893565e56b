// An archive in, objects or a catalogued backup out.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/names.hpp"
#include "config/replication.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/land/destination.hpp"
#include "os/world.hpp"
#include "records/record_store.hpp"
#include "store/object_store.hpp"
#include "telemetry/log.hpp"

namespace bale::land {

/// An object, a backup copy or a catalog file that did not get where it belongs.
struct LandFailure {
  std::string what;  ///< URI of the object
  Error error;
  BucketName bucket{};  ///< where it should be; empty: all is where it should be, and the staged copy is kept
};

struct LandResult {
  bool was_there = false;  ///< false: the archive is gone, it landed before
  std::size_t objects_written = 0;
  std::size_t objects_kept = 0;  ///< something as new or newer was at the destination
  ByteCount object_bytes = 0;
  ByteCount archive_bytes = 0;
  Milliseconds objects_took{};             ///< reading the archive and writing its objects
  std::vector<BucketName> object_buckets;  ///< normal destinations
  std::vector<BucketName> backup_buckets;  ///< that hold the archive itself
  BucketName catalog;                      ///< the bucket whose catalog file was due; empty: none was
  std::vector<LandFailure> failures;       ///< empty: all is durable, and the staging object has been removed
};

/// Lands the archives of one region. Thread-safe: several archives may land at once. All references are borrowed.
class Lander {
 public:
  Lander(const config::ReplicationConfig& config, Region region, store::ObjectStore& store,
         records::RecordStore& records, os::World& world, telemetry::Log& log, flow::Pools pools,
         flow::MemoryBudget& budget);

  /// Brings the archive to every target of this region that its manifest names and the configuration has for the
  /// archive's source, in this order: objects to normal destinations, the archive itself to backup destinations, the
  /// catalog file, and only when all of that is durable the removal from the inbound bucket. KMS keys and storage
  /// classes are those of the configuration. A target that the configuration does not have is a failure of the result.
  /// An archive of which the environment alone does not say that it is a staged copy (config::is_inbound) lands and is
  /// kept, which is a failure too. Every step can be repeated. Throws only what concerns the archive as a whole: it
  /// cannot be read, it is not in the inbound bucket, or it names no source of the configuration or no target of this
  /// region (Error{denied}).
  LandResult land(const ObjectAddress& archive, std::stop_token stop);

 private:
  const config::ReplicationConfig& config_;
  const Region region_;
  store::ObjectStore& store_;
  os::World& world_;
  telemetry::Log& log_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
  Destination destination_;
};

}  // namespace bale::land
