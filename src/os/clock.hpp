// Time as a parameter.
#pragma once

#include <chrono>
#include <stop_token>

#include "base/time.hpp"

namespace bale::os {

/// Where time comes from. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall-clock time; may jump.
  virtual TimePoint now() = 0;
  /// Time that never goes back, for durations and deadlines.
  virtual std::chrono::steady_clock::time_point steady() = 0;
  /// Sleeps for `duration`, or until `stop` is requested. Returns false when it was stopped early.
  virtual bool sleep_for(Milliseconds duration, std::stop_token stop = {}) = 0;
};

/// Returns the time since midnight in the zone of this process (TZ, else /etc/localtime). Thread-safe.
std::chrono::seconds local_time_of_day(TimePoint time);

/// The machine's clock; never destroyed.
Clock& system_clock();

}  // namespace bale::os
