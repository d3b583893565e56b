// Results that come in any order, handed on in order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/mutex.hpp"

namespace bale::flow {

/// Calls `emit` with the results 0, 1, 2, ... in this order, whatever the order in which they are put. One call at a
/// time, on the thread that put a result that became next; other threads do not wait for it, they leave their result
/// and go. The number of results held is bounded by whoever bounds the work in flight. Thread-safe.
template <typename T>
class Sequencer {
 public:
  explicit Sequencer(std::function<void(std::uint64_t, T)> emit) : emit_(std::move(emit)) {}

  /// Each number is put once. When emit throws, that call throws; nothing is emitted any more, and what waits or still
  /// comes is dropped, with the memory tickets it holds.
  void put(std::uint64_t number, T result) {
    Lock lock(mutex_);
    if (dead_) return;
    waiting_.emplace(number, std::move(result));
    if (emitting_) return;
    emitting_ = true;
    while (!waiting_.empty() && waiting_.begin()->first == next_) {
      auto ready = waiting_.extract(waiting_.begin());
      lock.unlock();
      emit_or_die(ready.key(), std::move(ready.mapped()));
      lock.lock();
      ++next_;
    }
    emitting_ = false;
  }

  /// Number of the result that is emitted next: how many have been.
  std::uint64_t next() const {
    const Lock lock(mutex_);
    return next_;
  }

 private:
  void emit_or_die(std::uint64_t number, T result) {
    try {
      emit_(number, std::move(result));
    } catch (...) {
      std::map<std::uint64_t, T> dropped;  // destroyed outside the lock: a result may hold the last of many things
      {
        const Lock lock(mutex_);
        dead_ = true;
        dropped.swap(waiting_);
      }
      throw;
    }
  }

  const std::function<void(std::uint64_t, T)> emit_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, T> waiting_ BALE_GUARDED_BY(mutex_);
  std::uint64_t next_ BALE_GUARDED_BY(mutex_) = 0;
  bool emitting_ BALE_GUARDED_BY(mutex_) = false, dead_ BALE_GUARDED_BY(mutex_) = false;
};

}  // namespace bale::flow
