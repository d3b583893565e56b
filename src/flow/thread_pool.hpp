// Threads that run tasks, and groups of tasks that end together.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"

namespace bale::flow {

/// A fixed number of threads and an unbounded list of tasks: whoever submits bounds the work (with memory tickets, for
/// one). Tasks start in the order of submission. Thread-safe. The destructor runs what was submitted, then joins.
class ThreadPool {
 public:
  /// `threads` at least 1; `name` (at most 15 characters) is what ps and gdb show.
  ThreadPool(std::size_t threads, const std::string& name);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// The task must not throw: TaskGroup catches for those that may.
  void submit(std::function<void()> task);
  std::size_t size() const noexcept { return threads_.size(); }

 private:
  void run();
  void close() noexcept;
  Mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_ BALE_GUARDED_BY(mutex_);
  bool closed_ BALE_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

/// Two pools, as every job uses them: tasks that mostly wait for a store, and tasks that compute.
struct Pools {
  ThreadPool& connections;
  ThreadPool& cores;
};

/// Tasks that are waited for together; the first failure is what wait() throws. After a failure, tasks that have not
/// started are skipped. Thread-safe: tasks may add tasks. The destructor waits too, and swallows the failure.
class TaskGroup {
 public:
  TaskGroup() = default;
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  void run(ThreadPool& pool, std::function<void()> task);
  /// Records a failure as if a task had thrown it.
  void fail(std::exception_ptr failure);
  bool failed() const;
  /// Returns when at most `count` tasks have not ended, so that whoever adds tasks does not get far ahead of the work.
  /// For one thread at a time, and none that the tasks need.
  void wait_until_at_most(std::size_t count);
  /// Returns when every task has ended; throws the first failure. Never call it on a thread of a pool the tasks need.
  void wait();

 private:
  void finish_one() noexcept;
  mutable Mutex mutex_;
  std::condition_variable idle_;
  std::size_t running_ BALE_GUARDED_BY(mutex_) = 0;
  std::size_t awaited_ BALE_GUARDED_BY(mutex_) = 0;  ///< how many tasks are few enough for who waits
  std::exception_ptr failure_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::flow
