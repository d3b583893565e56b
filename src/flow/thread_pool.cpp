#include "flow/thread_pool.hpp"

#include <pthread.h>

#include <utility>

namespace bale::flow {

ThreadPool::ThreadPool(std::size_t threads, const std::string& name) {
  threads_.reserve(threads);
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { run(); });
      pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
    }
  } catch (...) {
    close();  // the threads that were started are joined when the members are destroyed
    throw;
  }
}

ThreadPool::~ThreadPool() { close(); }

void ThreadPool::close() noexcept {
  {
    const Lock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

void ThreadPool::submit(std::function<void()> task) {
  {
    const Lock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void ThreadPool::run() {
  for (;;) {
    std::function<void()> task;
    {
      Lock lock(mutex_);
      changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

TaskGroup::~TaskGroup() {
  Lock lock(mutex_);
  idle_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return running_ == 0; });
}

void TaskGroup::run(ThreadPool& pool, std::function<void()> task) {
  {
    const Lock lock(mutex_);
    ++running_;
  }
  try {
    pool.submit([this, work = std::move(task)]() mutable {
      try {
        if (!failed()) work();
      } catch (...) {
        fail(std::current_exception());
      }
      work = nullptr;  // what the task holds is released before the group may be gone
      finish_one();
    });
  } catch (...) {
    finish_one();  // no memory for the task: it will never end by itself
    throw;
  }
}

void TaskGroup::fail(std::exception_ptr failure) {
  const Lock lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
}

bool TaskGroup::failed() const {
  const Lock lock(mutex_);
  return failure_ != nullptr;
}

void TaskGroup::finish_one() noexcept {
  // Notified under the lock: the waiter may destroy the group as soon as it can take it.
  const Lock lock(mutex_);
  if (--running_ <= awaited_) idle_.notify_all();
}

void TaskGroup::wait_until_at_most(std::size_t count) {
  Lock lock(mutex_);
  awaited_ = count;
  idle_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return running_ <= count; });
  awaited_ = 0;
}

void TaskGroup::wait() {
  Lock lock(mutex_);
  idle_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return running_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace bale::flow
