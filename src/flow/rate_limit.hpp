// A bound on bytes per second that several threads share.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "base/bytes.hpp"
#include "base/mutex.hpp"
#include "os/clock.hpp"

namespace bale::flow {

/// Delays its callers so that they together pass at most so many bytes a second on average. A pause saves up the bytes
/// of one second at most. Thread-safe; the clock is borrowed.
class RateLimit {
 public:
  /// `limit` returns the bytes per second that hold now, nullopt for no bound; it is asked at each pass(), by one
  /// thread at a time, and must not throw.
  RateLimit(os::Clock& clock, std::function<std::optional<ByteCount>()> limit)
      : clock_(clock), limit_(std::move(limit)) {}
  /// Waits until `bytes` may pass. Returns early after a stop.
  void pass(ByteCount bytes, const std::stop_token& stop = {});

 private:
  using Time = std::chrono::steady_clock::time_point;
  os::Clock& clock_;
  const std::function<std::optional<ByteCount>()> limit_;
  Mutex mutex_;
  std::optional<Time> free_at_ BALE_GUARDED_BY(mutex_);  ///< when all bytes so far have passed
};

}  // namespace bale::flow
