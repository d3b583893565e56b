// Archives from an outbound bucket to the inbound buckets of their regions: what S3 replication does on AWS.
#pragma once

#include <functional>
#include <vector>

#include "base/names.hpp"
#include "config/replication.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"
#include "telemetry/log.hpp"

namespace bale::relay {

/// Gives the store as seen from a region; the reference stays valid as long as the relay.
using StoreOf = std::function<store::ObjectStore&(const Region&)>;

struct RelayResult {
  bool was_there = false;       ///< false: the archive is gone, it was relayed before
  std::vector<Region> regions;  ///< where it is now, durably
  ByteCount bytes = 0;          ///< of one copy
};

/// Copies one archive (server-side, same key) into the inbound bucket of each region that its manifest names and that
/// the configuration has as a destination of the archive's source, then removes it from the outbound bucket. A copy
/// that is already there with the same content is not made again; nor is one for a region that has got the archive
/// before, where it stays in the outbound bucket because it names a region that is not configured (tag "bale-relayed").
/// Throws Error{denied} for an archive that is not in the outbound bucket of `source_region`, and, after the other
/// copies are made, for one that names a region which the configuration does not have. Any failure leaves the archive
/// where it is, so that it can be tried again.
RelayResult relay_archive(const config::ReplicationConfig& config, const Region& source_region,
                          const ObjectAddress& archive, const StoreOf& stores, flow::ThreadPool& connections,
                          flow::MemoryBudget& budget, os::World& world, telemetry::Log& log);

}  // namespace bale::relay
