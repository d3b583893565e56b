#include "cli/item_runner.hpp"

#include <utility>

#include "os/target.hpp"

namespace bale::cli {

void ItemRunner::wait_until_at_most(std::size_t count) {
  Lock lock(mutex_);
  ended_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return under_way_ <= count; });
}

void ItemRunner::run(std::function<void()> task) {
  bool full = false;
  {
    const Lock lock(mutex_);
    full = under_way_ >= most_;
  }
  // Half of the places are waited for: whoever starts tasks wakes once for many of them.
  if (full) wait_until_at_most(most_ / 2);
  {
    const Lock lock(mutex_);
    ++under_way_;
  }
  pool_.submit([this, work = std::move(task)]() mutable {
    work();
    work = nullptr;
    const Lock lock(mutex_);  // notified under the lock: the waiter may destroy this as soon as it has it
    --under_way_;
    if (under_way_ == most_ / 2 || under_way_ == 0) ended_.notify_all();
  });
}

void ItemRunner::wait() { wait_until_at_most(0); }

bool RunEnd::take(const Error& error) {
  if (!os::is_of_whole_target(error)) return false;
  const Lock lock(mutex_);
  if (!error_) error_ = error;
  is_over_ = true;
  return true;
}

void RunEnd::check(const RunState& state, std::string_view done) const {
  const Lock lock(mutex_);
  if (error_) throw ended_run(*error_, state, done);
}

}  // namespace bale::cli
