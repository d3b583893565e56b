#include "flow/rate_limit.hpp"

#include <algorithm>

namespace bale::flow {

void RateLimit::pass(ByteCount bytes, const std::stop_token& stop) {
  constexpr std::chrono::nanoseconds saved_up = std::chrono::seconds(1);
  std::chrono::nanoseconds wait{0};
  {
    const Lock lock(mutex_);
    const std::optional<ByteCount> limit = limit_();
    if (!limit || *limit == 0) return free_at_.reset();
    const Time now = clock_.steady();
    const Time start = std::max(free_at_.value_or(now - saved_up), now - saved_up);
    const double seconds = static_cast<double>(bytes) / static_cast<double>(*limit);
    free_at_ = start + std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
    wait = *free_at_ - now;
  }
  if (wait.count() > 0) clock_.sleep_for(std::chrono::ceil<Milliseconds>(wait), stop);
}

}  // namespace bale::flow
