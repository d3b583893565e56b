#include "os/clock.hpp"

#include <condition_variable>
#include <ctime>
#include <mutex>

namespace bale::os {
namespace {

class SystemClock final : public Clock {
 public:
  TimePoint now() override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point steady() override { return std::chrono::steady_clock::now(); }
  bool sleep_for(Milliseconds duration, std::stop_token stop) override {
    std::mutex mutex;  // guards nothing: a condition wants one
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    return !wake.wait_for(lock, stop, duration, [&] { return stop.stop_requested(); });
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::chrono::seconds local_time_of_day(TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return std::chrono::hours(local.tm_hour) + std::chrono::minutes(local.tm_min) + std::chrono::seconds(local.tm_sec);
}

}  // namespace bale::os
