// A stop token that several reasons can request: another token, the end of a time, or a caller.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/time.hpp"
#include "os/clock.hpp"

namespace bale::flow {

/// Requests its own token when `outer` is requested, when `time` is over, or by request(). Thread-safe. The clock is
/// borrowed.
class StopAfter {
 public:
  /// `time` of nullopt never ends.
  StopAfter(std::stop_token outer, os::Clock& clock, std::optional<Milliseconds> time);
  StopAfter(const StopAfter&) = delete;
  StopAfter& operator=(const StopAfter&) = delete;
  std::stop_token token() const noexcept { return source_.get_token(); }
  void request() noexcept { source_.request_stop(); }
  /// Whether the time was over before anything else requested the stop.
  bool is_time_over() const noexcept { return is_time_over_; }

 private:
  struct Forward {
    std::stop_source* source;
    void operator()() const noexcept { source->request_stop(); }
  };
  std::stop_source source_;
  std::atomic<bool> is_time_over_{false};
  std::stop_callback<Forward> outer_;
  std::jthread timer_;  // last: it uses the members above
};

}  // namespace bale::flow
