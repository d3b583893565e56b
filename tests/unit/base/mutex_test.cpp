#include "base/mutex.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <stop_token>
#include <thread>
#include <vector>

namespace bale {
namespace {

/// As a class of src/ has it; Clang checks the attributes.
class Counter {
 public:
  void add() {
    const Lock lock(mutex_);
    ++count_;
    changed_.notify_all();
    changed_any_.notify_all();
  }
  int wait_for(int count) {
    Lock lock(mutex_);
    changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return count_ >= count; });
    return count_;
  }
  bool wait_for(int count, const std::stop_token& stop) {
    Lock lock(mutex_);
    return changed_any_.wait(lock, stop, [&]() BALE_REQUIRES(mutex_) { return count_ >= count; });
  }
  /// Takes the lock in several scopes of one Lock.
  void add_in_pieces(int times) {
    Lock lock(mutex_);
    for (int i = 0; i < times; ++i) {
      ++count_;
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable_any changed_any_;
  int count_ BALE_GUARDED_BY(mutex_) = 0;
};

TEST(Mutex, ExcludesAndWakes) {
  Counter counter;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&counter, t] {
      if (t % 2 == 0) return counter.add_in_pieces(500);
      for (int i = 0; i < 500; ++i) counter.add();
    });
  }
  EXPECT_EQ(counter.wait_for(2000), 2000);
}

TEST(Mutex, IsFreeAfterAStoppedWait) {
  Counter counter;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(counter.wait_for(1, stop.get_token()));
  counter.add();
  EXPECT_TRUE(counter.wait_for(1, stop.get_token()));
}

}  // namespace
}  // namespace bale
