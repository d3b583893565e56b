// What Clang must refuse: each function touches guarded state without the lock. Compiled by a test, never linked.
#include "base/mutex.hpp"

namespace bale {

class Counter {
 public:
  void member_without_lock() { ++count_; }
  void function_without_lock() { add(); }
  void member_after_unlock() {
    Lock lock(mutex_);
    lock.unlock();
    ++count_;
  }

 private:
  void add() BALE_REQUIRES(mutex_) { ++count_; }
  Mutex mutex_;
  int count_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale
