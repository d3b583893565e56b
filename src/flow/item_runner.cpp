#include "flow/item_runner.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "os/target.hpp"

namespace bale::flow {

ItemRunner::ItemRunner(std::size_t threads, std::stop_token stop, std::size_t most_failures)
    : most_(2 * std::max<std::size_t>(threads, 1)),
      most_failures_(most_failures),
      stop_(stop),
      on_stop_(std::move(stop),
               [this] {
                 const Lock lock(mutex_);
                 ended_.notify_all();
               }),
      pool_(std::max<std::size_t>(threads, 1), "item") {}

ItemRunner::~ItemRunner() { wait(); }

/// Waits where all places are taken, until half of them are free: whoever starts items wakes once for many of them.
void ItemRunner::wait_for_room() {
  Lock lock(mutex_);
  if (under_way_ < most_) return;
  ended_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return under_way_ <= most_ / 2 || stop_.stop_requested(); });
}

bool ItemRunner::run(std::function<void()> item, std::function<std::string()> name) {
  wait_for_room();
  if (stop_.stop_requested()) return false;
  {
    const Lock lock(mutex_);
    ++under_way_;
  }
  pool_.submit([this, work = std::move(item), called = std::move(name)]() mutable {
    run_one(work, called);
    work = nullptr;
    called = nullptr;
    const Lock lock(mutex_);  // notified under the lock: the waiter may destroy this as soon as it has it
    --under_way_;
    if (under_way_ == most_ / 2 || under_way_ == 0) ended_.notify_all();
  });
  return true;
}

void ItemRunner::run_one(const std::function<void()>& item, const std::function<std::string()>& name) noexcept {
  // After a stop, those that wait for a thread are dropped: what has begun is all that is left to end.
  if (stop_.stop_requested()) {
    ++dropped_;
    return;
  }
  try {
    item();
    ++done_;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled && stop_.stop_requested())
      ++dropped_;
    else
      fail(name, error);
  } catch (const std::exception& error) {
    fail(name, Error(ErrorKind::internal, error.what()));
  }
}

void ItemRunner::fail(const std::function<std::string()>& name, const Error& error) {
  ++failed_;
  const Lock lock(mutex_);
  if (failures_.size() < most_failures_) failures_.push_back({name ? name() : std::string(), error});
}

void ItemRunner::wait() {
  Lock lock(mutex_);
  ended_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return under_way_ == 0; });
}

std::vector<FailedItem> ItemRunner::failures() const {
  const Lock lock(mutex_);
  return failures_;
}

bool RunEnd::take(const Error& error) {
  if (!os::is_of_whole_target(error)) return false;
  const Lock lock(mutex_);
  if (!error_) error_ = error;
  is_over_ = true;
  return true;
}

std::optional<Error> RunEnd::error() const {
  const Lock lock(mutex_);
  return error_;
}

}  // namespace bale::flow
