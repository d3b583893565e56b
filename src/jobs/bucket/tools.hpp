// What every job between buckets works with.
#pragma once

#include <functional>
#include <string>

#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "telemetry/log.hpp"

namespace bale::bucket {

/// The surroundings of a job. Borrowed: the members outlive every call.
struct Tools {
  os::World& world;
  flow::Pools pools;
  flow::MemoryBudget& budget;
  telemetry::Log& log;
  flow::Progress& progress;
  std::size_t at_once = 16;                      ///< objects that are worked on at the same time
  std::function<void(const std::string&)> warn;  ///< takes what a person should know; called by any thread
};

}  // namespace bale::bucket
