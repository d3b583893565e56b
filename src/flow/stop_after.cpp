#include "flow/stop_after.hpp"

namespace bale::flow {

StopAfter::StopAfter(std::stop_token outer, os::Clock& clock, std::optional<Milliseconds> time)
    : outer_(std::move(outer), Forward{&source_}) {
  if (!time) return;
  timer_ = std::jthread([this, &clock, time = *time](const std::stop_token& ended) {
    const bool is_over = clock.sleep_for(time, ended);
    if (!is_over || source_.stop_requested()) return;
    is_time_over_ = true;
    source_.request_stop();
  });
}

}  // namespace bale::flow
