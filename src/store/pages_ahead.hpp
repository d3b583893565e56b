// Reads pages one after the other on a pool, a bounded number of them ahead of who takes them.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "base/mutex.hpp"
#include "flow/thread_pool.hpp"

namespace bale::store {

/// Pages that are read ahead. next() is for one thread at a time, and none of the pool.
template <typename Page>
class PagesAhead {
 public:
  /// Begins to read at once. `read` returns the next page, nullopt after the last; it is called by one thread of the
  /// pool at a time, and what it throws ends the reading. At most `most` pages wait. The pool is borrowed.
  PagesAhead(flow::ThreadPool& pool, std::size_t most, std::function<std::optional<Page>()> read)
      : pool_(pool), most_(std::max<std::size_t>(most, 1)), read_(std::move(read)) {
    const Lock lock(mutex_);
    start();
  }
  /// Waits for the page that is being read.
  ~PagesAhead() {
    Lock lock(mutex_);
    is_closed_ = true;
    changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return !is_reading_; });
  }
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

  /// Returns the next page; nullopt after the last. Throws what `read` threw, after the pages before it.
  std::optional<Page> next() {
    Lock lock(mutex_);
    changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return !pages_.empty() || is_ended_; });
    if (pages_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return std::nullopt;
    }
    Page page = std::move(pages_.front());
    pages_.pop_front();
    start();
    return page;
  }

 private:
  void start() BALE_REQUIRES(mutex_) {
    if (is_reading_ || is_ended_ || pages_.size() >= most_) return;
    is_reading_ = true;
    pool_.submit([this] { read_on(); });
  }

  void read_on() {
    for (;;) {
      std::optional<Page> page;
      std::exception_ptr failure;
      try {
        page = read_();
      } catch (...) {
        failure = std::current_exception();
      }
      const Lock lock(mutex_);  // notified under the lock: the waiter may destroy this as soon as it has it
      is_ended_ = !page;
      failure_ = failure;
      if (page) pages_.push_back(std::move(*page));
      is_reading_ = !is_ended_ && !is_closed_ && pages_.size() < most_;
      changed_.notify_all();
      if (!is_reading_) return;
    }
  }

  flow::ThreadPool& pool_;
  const std::size_t most_;
  const std::function<std::optional<Page>()> read_;
  Mutex mutex_;
  std::condition_variable changed_;
  std::deque<Page> pages_ BALE_GUARDED_BY(mutex_);
  bool is_reading_ BALE_GUARDED_BY(mutex_) = false;
  bool is_ended_ BALE_GUARDED_BY(mutex_) = false;
  bool is_closed_ BALE_GUARDED_BY(mutex_) = false;
  std::exception_ptr failure_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::store
