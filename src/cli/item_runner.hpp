// Many items, several at a time, none of which may end the others.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "cli/output.hpp"
#include "flow/thread_pool.hpp"

namespace bale::cli {

/// Runs tasks on threads of its own and keeps their number bounded, so that a listing of millions of objects never gets
/// far ahead of the work. The threads may wait for tasks on the context's pools. Used by one thread; its destructor
/// waits for the tasks.
class ItemRunner {
 public:
  /// At least one thread.
  explicit ItemRunner(std::size_t threads) : most_(2 * threads), pool_(threads, "item") {}
  ~ItemRunner() { wait(); }
  ItemRunner(const ItemRunner&) = delete;
  ItemRunner& operator=(const ItemRunner&) = delete;
  /// Starts the task, which must not throw; where all places are taken, when half of them are free again.
  void run(std::function<void()> task);
  /// Returns when every task has ended.
  void wait();

 private:
  void wait_until_at_most(std::size_t count);  // 0, or half of most_: nothing else is told
  Mutex mutex_;
  std::condition_variable ended_;
  std::size_t under_way_ BALE_GUARDED_BY(mutex_) = 0;
  const std::size_t most_;
  flow::ThreadPool pool_;
};

/// The failure that ends a run over many items, since every other item would fail likewise. Thread-safe.
class RunEnd {
 public:
  /// Keeps the first error that os::is_of_whole_target() is true of. Returns whether this one is such an error.
  bool take(const Error& error);
  /// Whether an error was kept: nothing more is to be started.
  bool is_over() const noexcept { return is_over_; }
  /// Throws the error that was kept, as ended_run() makes it of `state` and `done`.
  void check(const RunState& state, std::string_view done) const;

 private:
  std::atomic<bool> is_over_{false};
  mutable Mutex mutex_;
  std::optional<Error> error_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cli
