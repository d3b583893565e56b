// Whether the loops of a service do what they are for: what /healthz tells.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "os/clock.hpp"

namespace bale::service {

/// A loop at one moment.
struct LoopReport {
  std::string name;
  bool healthy = true;
  bool working = false;           ///< on a batch or an archive
  std::chrono::seconds silent{};  ///< since its queue answered last
  std::string error;              ///< of the last contact; empty when that went well
};

/// A loop is healthy when its queue answered within the last two minutes, or while it works. Thread-safe; the clock is
/// borrowed.
class Health {
 public:
  explicit Health(os::Clock& clock) : clock_(clock) {}

  /// Of one thread that asks one queue. Stays where it is as long as the Health does.
  class Loop {
   public:
    Loop(Health& health, std::string name);  ///< for add()
    void answered();
    void failed(const Error& error);
    /// Working until the result is destroyed.
    class Work {
     public:
      explicit Work(Loop& loop) : loop_(loop) { loop_.count_work(1); }
      ~Work() { loop_.count_work(-1); }
      Work(const Work&) = delete;
      Work& operator=(const Work&) = delete;

     private:
      Loop& loop_;
    };

   private:
    friend class Health;
    void count_work(int change);
    LoopReport report(std::chrono::steady_clock::time_point now) const;

    Health& health_;
    const std::string name_;
    mutable Mutex mutex_;
    std::chrono::steady_clock::time_point last_answer_ BALE_GUARDED_BY(mutex_);
    std::string error_ BALE_GUARDED_BY(mutex_);
    int work_ BALE_GUARDED_BY(mutex_) = 0;
  };

  Loop& add(std::string name);
  std::vector<LoopReport> report() const;

 private:
  os::Clock& clock_;
  mutable Mutex mutex_;
  std::deque<Loop> loops_ BALE_GUARDED_BY(mutex_);  // its elements stay where they are
};

bool all_healthy(const std::vector<LoopReport>& loops) noexcept;

}  // namespace bale::service
