// Archives from an outbound bucket to the inbound buckets of their regions: what S3 replication does on AWS.
#pragma once

#include <functional>
#include <vector>

#include "base/names.hpp"
#include "config/replication.hpp"
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

/// Relays one archive: reads its manifest for the regions it is meant for, copies it (server-side, same key) into the
/// inbound bucket of each, then removes it from `outbound`. A copy that is already there with the same content is not
/// made again. Any failure throws and leaves the archive where it is, so that it can be tried again.
RelayResult relay_archive(const config::Settings& settings, const Region& source_region, const ObjectAddress& archive,
                          const StoreOf& stores, flow::ThreadPool& connections, os::World& world, telemetry::Log& log);

}  // namespace bale::relay
