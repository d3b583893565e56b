// Many items, several at a time, none of which ends the others.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "flow/thread_pool.hpp"

namespace bale::flow {

/// An item that failed.
struct FailedItem {
  std::string name;
  Error error;
};

/// Runs items on threads of its own and bounds their number, so that a listing of millions of objects never gets far
/// ahead of the work. The threads may wait for tasks of other pools. run() and wait() are for one thread at a time; the
/// rest is thread-safe. The destructor waits for the items that have begun.
class ItemRunner {
 public:
  /// `threads`: at least 1; twice as many items wait or run. Once `stop` is requested, no further item begins. Of the
  /// failures, the first `most_failures` are kept.
  explicit ItemRunner(std::size_t threads, std::stop_token stop = {}, std::size_t most_failures = 100);
  ~ItemRunner();
  ItemRunner(const ItemRunner&) = delete;
  ItemRunner& operator=(const ItemRunner&) = delete;

  /// Begins the item as soon as a thread is free; waits where all places are taken, until half of them are free again.
  /// Returns false after the stop: the item does not begin. What the item throws is its failure, under the name that
  /// `name` returns. `name` is called for failures only. Error{cancelled} after the stop does not count as a failure.
  bool run(std::function<void()> item, std::function<std::string()> name = {});
  /// Returns when every item has ended, or was dropped after a stop.
  void wait();

  /// Numbers of items so far: without and with a failure, and those that run() took and that never began.
  std::uint64_t done() const noexcept { return done_; }
  std::uint64_t failed() const noexcept { return failed_; }
  std::uint64_t dropped() const noexcept { return dropped_; }
  /// Returns the first failures, in the order in which they came.
  std::vector<FailedItem> failures() const;

 private:
  void wait_for_room();
  void run_one(const std::function<void()>& item, const std::function<std::string()>& name) noexcept;
  void fail(const std::function<std::string()>& name, const Error& error);

  const std::size_t most_;
  const std::size_t most_failures_;
  const std::stop_token stop_;
  std::atomic<std::uint64_t> done_{0}, failed_{0}, dropped_{0};
  mutable Mutex mutex_;
  std::condition_variable ended_;  ///< told when none, or half of most_, are under way, and of a stop
  std::size_t under_way_ BALE_GUARDED_BY(mutex_) = 0;
  std::vector<FailedItem> failures_ BALE_GUARDED_BY(mutex_);
  std::stop_callback<std::function<void()>> on_stop_;
  ThreadPool pool_;  // the last member: its destructor joins the threads that use the others
};

/// The failure that ends a run over many items, since every other item would fail likewise. Thread-safe.
class RunEnd {
 public:
  /// Keeps the first error that os::is_of_whole_target() is true of (a full disk). Returns whether this one is such an
  /// error.
  bool take(const Error& error);
  /// Whether an error was kept: nothing more is to be started.
  bool is_over() const noexcept { return is_over_; }
  /// Returns the error that was kept.
  std::optional<Error> error() const;

 private:
  std::atomic<bool> is_over_{false};
  mutable Mutex mutex_;
  std::optional<Error> error_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::flow
