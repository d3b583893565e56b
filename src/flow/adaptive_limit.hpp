// How many things are done at once, fewer while a service asks for fewer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <optional>
#include <stop_token>

#include "base/mutex.hpp"
#include "base/time.hpp"
#include "os/clock.hpp"

namespace bale::flow {

/// A number of places that adapts as TCP adapts its window: a request that was throttled halves it, at most once a
/// second; as many successes as there are places add one, up to the most. Thread-safe; the clock is borrowed.
class AdaptiveLimit {
 public:
  /// `most`: places to begin with, and never more; at least 1.
  AdaptiveLimit(os::Clock& clock, std::size_t most);
  AdaptiveLimit(const AdaptiveLimit&) = delete;
  AdaptiveLimit& operator=(const AdaptiveLimit&) = delete;

  /// A place that is taken while it lives. Not thread-safe.
  class Place {
   public:
    explicit Place(AdaptiveLimit& limit, const std::stop_token& stop) : limit_(limit) { limit_.take(stop); }
    ~Place() { limit_.give_back(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    AdaptiveLimit& limit_;
  };

  /// A request was throttled.
  void throttled();
  /// Something was done without being throttled.
  void succeeded();
  std::size_t places() const;

 private:
  void take(const std::stop_token& stop);
  void give_back();
  os::Clock& clock_;
  const std::size_t most_;
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t places_ BALE_GUARDED_BY(mutex_), taken_ BALE_GUARDED_BY(mutex_) = 0;
  std::size_t successes_ BALE_GUARDED_BY(mutex_) = 0;  ///< since the last change of places_
  std::optional<std::chrono::steady_clock::time_point> halved_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::flow
