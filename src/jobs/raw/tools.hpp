// What every step of the raw file backup works with.
#pragma once

#include <functional>

#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "telemetry/log.hpp"

namespace bale::raw {

/// The surroundings of a step. Borrowed: the members outlive every call.
struct Tools {
  os::World& world;
  flow::Pools pools;
  flow::MemoryBudget& budget;
  telemetry::Log& log;
  flow::Progress& progress;  ///< raised by the bytes that were read, sent or received
};

}  // namespace bale::raw
