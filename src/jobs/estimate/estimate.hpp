// Looks through a bucket and into a bounded part of its objects, and says what Bale would make of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "compression/cost_model.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/estimate/inventory.hpp"
#include "jobs/estimate/predict.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::estimate {

struct Place {
  store::ObjectStore& store;
  os::World& world;
  flow::Pools pools;
  BucketName bucket;
  std::string prefix;
};

struct SampleLimits {
  ByteCount bytes = 64ULL << 20;  ///< read in all; also what is held in memory
  std::size_t objects = 1000;     ///< looked into
  ByteCount piece = 1ULL << 20;   ///< of a single object
};

struct Findings {
  Inventory inventory;
  Predicted predicted;
  std::uint64_t unread = 0;           ///< drawn objects that could not be read
  std::optional<Error> first_unread;  ///< why the first of them could not
};

/// Lists all objects below the prefix, reads pieces of some of them, and predicts. Reads only; at most `limits` and one
/// request for each 1000 objects. `listed(objects)` is called now and then with the number of objects so far, by this
/// thread. Throws what the store throws when it lists, and Error{cancelled} when the world stops.
Findings examine(const Place& place, const SampleLimits& limits, const compression::CostModel& cost,
                 const std::function<void(std::uint64_t)>& listed);

}  // namespace bale::estimate
