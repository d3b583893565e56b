#include "cli/item_runner.hpp"

#include <utility>

namespace bale::cli {

void ItemRunner::wait_below(std::size_t count) {
  Lock lock(mutex_);
  ended_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return under_way_ < count; });
}

void ItemRunner::run(std::function<void()> task) {
  wait_below(most_);
  {
    const Lock lock(mutex_);
    ++under_way_;
  }
  pool_.submit([this, work = std::move(task)]() mutable {
    work();
    work = nullptr;
    const Lock lock(mutex_);  // notified under the lock: the waiter may destroy this as soon as it has it
    --under_way_;
    ended_.notify_all();
  });
}

void ItemRunner::wait() { wait_below(1); }

}  // namespace bale::cli
