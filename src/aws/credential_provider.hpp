// Credentials that are there when they are needed.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <optional>

#include "aws/credentials.hpp"
#include "base/mutex.hpp"
#include "os/clock.hpp"

namespace bale::aws {

/// Keeps credentials and renews them before they expire: one thread asks, the others go on with what there is. Only
/// when these are about to expire, or were refused, do all wait. Thread-safe.
class CredentialProvider {
 public:
  using Source = std::function<Credentials()>;
  /// From when on they are renewed, beside other work; instances offer new ones at the latest 5 minutes before.
  static constexpr Milliseconds renew_before{15 * 60'000};
  /// From when on nobody uses them any more.
  static constexpr Milliseconds distrust_before{60'000};
  /// After a renewal that failed, or brought nothing newer, the next is tried this much later.
  static constexpr Milliseconds renew_pause{30'000};

  /// `source` is called by one thread at a time. `clock` is borrowed.
  CredentialProvider(Source source, os::Clock& clock) : source_(std::move(source)), clock_(clock) {}

  /// Throws what the source throws, when there are no credentials that still hold. A failed renewal beside other work
  /// is no failure yet.
  Credentials get();
  /// A service said that `refused` have expired: the next get() asks the source, unless somebody has already.
  void refuse(const Credentials& refused);

 private:
  struct Renewal {
    std::optional<Credentials> fresh;
    std::exception_ptr failure;
  };
  bool holds(TimePoint now) const BALE_REQUIRES(mutex_);
  bool wants_renewal(TimePoint now) const BALE_REQUIRES(mutex_);
  Renewal ask() const;  ///< without the lock
  void accept(const Renewal& renewal) BALE_REQUIRES(mutex_);

  Source source_;
  os::Clock& clock_;
  Mutex mutex_;
  std::condition_variable renewed_;
  std::optional<Credentials> current_ BALE_GUARDED_BY(mutex_);
  bool renewing_ BALE_GUARDED_BY(mutex_) = false;
  TimePoint next_renewal_ BALE_GUARDED_BY(mutex_){};
};

}  // namespace bale::aws
