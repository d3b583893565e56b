#include "flow/adaptive_limit.hpp"

#include <algorithm>

namespace bale::flow {

AdaptiveLimit::AdaptiveLimit(os::Clock& clock, std::size_t most)
    : clock_(clock), most_(std::max<std::size_t>(most, 1)), places_(most_) {}

/// After a stop everybody passes: what they begin fails at once.
void AdaptiveLimit::take(const std::stop_token& stop) {
  Lock lock(mutex_);
  changed_.wait(lock, stop, [&]() BALE_REQUIRES(mutex_) { return taken_ < places_; });
  ++taken_;
}

void AdaptiveLimit::give_back() {
  const Lock lock(mutex_);
  --taken_;
  changed_.notify_one();
}

void AdaptiveLimit::throttled() {
  constexpr std::chrono::seconds between_halvings{1};  // requests under way are throttled together
  const Lock lock(mutex_);
  successes_ = 0;
  const auto now = clock_.steady();
  if (halved_ && now - *halved_ < between_halvings) return;
  halved_ = now;
  places_ = std::max<std::size_t>(places_ / 2, 1);
}

void AdaptiveLimit::succeeded() {
  const Lock lock(mutex_);
  if (places_ == most_ || ++successes_ < places_) return;
  successes_ = 0;
  ++places_;
  changed_.notify_one();
}

std::size_t AdaptiveLimit::places() const {
  const Lock lock(mutex_);
  return places_;
}

}  // namespace bale::flow
