// Faults to order for the doubles of the ports. A fault that was armed and never came fails the test.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.hpp"

namespace bale::testing {

/// When a fault comes: the service never sees the request, or does its work and the answer is lost.
enum class FaultTime { before, after };

/// Decides which calls fail, in one of two ways: calls named beforehand (arm), or every n-th (every). Thread-safe.
class Faults {
 public:
  ~Faults() {
    for (const Armed& fault : armed_) {
      EXPECT_EQ(fault.times, 0) << "the fault armed for " << fault.method << " of " << fault.name << " never fired";
    }
    EXPECT_TRUE(nth_ == 0 || count_ < nth_ || fired_ > 0) << "no fault came in " << count_ << " calls";
  }

  /// The next `times` calls of `method` for a name that contains `name` throw `error`.
  void arm(std::string method, std::string name, Error error, int times = 1, FaultTime time = FaultTime::before) {
    const std::scoped_lock lock(mutex_);
    armed_.push_back({std::move(method), std::move(name), std::move(error), times, time});
  }
  /// Every n-th call fails: in turns throttled, without a connection, and with its answer lost.
  void every(int nth) { nth_ = nth; }
  bool is_periodic() const { return nth_ > 0; }
  /// Calls of `method` so far.
  int calls(const std::string& method) const {
    const std::scoped_lock lock(mutex_);
    const auto found = calls_.find(method);
    return found == calls_.end() ? 0 : found->second;
  }

  /// Does `work`, or fails. A periodic fault loses the answer only where `may_lose_answer()`.
  template <typename Work, typename MayLose>
  std::invoke_result_t<Work&> call(const std::string& method, const std::string& name, Work work,
                                   MayLose may_lose_answer) {
    std::optional<Armed> fault = take(method, name);
    if (fault && fault->periodic && fault->time == FaultTime::after && !may_lose_answer())
      fault->time = FaultTime::before, fault->error = fault->error.without_effect();
    if (fault && fault->time == FaultTime::before) throw fault->error;
    if constexpr (std::is_void_v<std::invoke_result_t<Work&>>) {
      work();
      if (fault) throw fault->error;
    } else {
      auto result = work();
      if (fault) throw fault->error;
      return result;
    }
  }

 private:
  struct Armed {
    std::string method, name;
    Error error;
    int times = 1;
    FaultTime time = FaultTime::before;
    bool periodic = false;
  };

  std::optional<Armed> take(const std::string& method, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    ++calls_[method];
    for (Armed& fault : armed_) {
      if (fault.times == 0 || fault.method != method || name.find(fault.name) == std::string::npos) continue;
      --fault.times;
      return fault;
    }
    if (nth_ == 0 || ++count_ % nth_ != 0) return std::nullopt;
    switch (fired_++ % 3) {
      case 0: return periodic(Error(ErrorKind::unavailable, "the answer is lost"), FaultTime::after);
      case 1: return periodic(Error(ErrorKind::throttled, "slow down").with_code("SlowDown"), FaultTime::before);
      default: return periodic(Error(ErrorKind::unavailable, "no connection").without_effect(), FaultTime::before);
    }
  }
  static Armed periodic(Error error, FaultTime time) { return {{}, {}, std::move(error), 1, time, true}; }

  mutable std::mutex mutex_;
  std::vector<Armed> armed_;
  std::map<std::string, int> calls_;
  int nth_ = 0, count_ = 0, fired_ = 0;
};

}  // namespace bale::testing
