// Trying again: the one place that waits between attempts. The decorators of the ports use it (store/, queue/,
// records/).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "flow/retry_policy.hpp"
#include "os/world.hpp"

namespace bale::flow {

/// Tokens that further attempts cost and successes give back: when a service is down, most requests fail at their
/// first attempt instead of each knocking eight times. Thread-safe.
class RetryBudget {
 public:
  explicit RetryBudget(std::uint32_t tokens) : limit_(tokens), left_(tokens) {}
  /// Takes `tokens`, or nothing and returns false when fewer are left.
  bool take(std::uint32_t tokens) noexcept;
  /// Gives `tokens` back, up to the limit.
  void give(std::uint32_t tokens) noexcept;
  std::uint32_t left() const noexcept;

 private:
  const std::uint32_t limit_;
  mutable Mutex mutex_;
  std::uint32_t left_ BALE_GUARDED_BY(mutex_);
};

/// The retries of all requests to one service: settings, budget, clock, chance, and when to stop. Thread-safe. Outlives
/// the decorators that use it and their streams. Clock and entropy of the world are borrowed.
class Retrier {
 public:
  /// Called before each wait with the failure, the number of the attempt that failed (from 1) and the wait: for logs
  /// and counters. Called by any thread; must not throw.
  using Notice = std::function<void(const Error& failure, std::uint32_t attempt, Milliseconds delay)>;

  /// Called with the failure of every attempt, also of one that is not followed by another: for what has to be done
  /// before the next request. Called by any thread; must not throw.
  using Failed = std::function<void(const Error& failure)>;

  explicit Retrier(const os::World& world, RetrySettings settings = {}, Notice on_retry = {}, Failed on_failure = {});
  const RetrySettings& settings() const noexcept { return settings_; }
  const RetryBudget& budget() const noexcept { return budget_; }

 private:
  friend class Attempts;
  os::Clock& clock_;
  os::Entropy& entropy_;
  const std::stop_token stop_;
  const RetrySettings settings_;
  const Notice on_retry_;
  const Failed on_failure_;
  RetryBudget budget_;
};

/// The attempts at one request. Used by one thread at a time; the retrier is borrowed.
class Attempts {
 public:
  /// `stop` ends the attempts too, besides the stop of the retrier's world.
  explicit Attempts(Retrier& retrier, std::stop_token stop = {});

  /// Calls `work` until it returns, and returns what it returns. Throws the first Error that is final, as report() has
  /// it; an exception that is no Error passes through. `work` leaves nothing half done when it throws.
  template <typename Work>
  std::invoke_result_t<Work&> run(Work work) {
    for (;;) {
      std::optional<Error> failure;
      try {
        if constexpr (std::is_void_v<std::invoke_result_t<Work&>>) {
          work();
          succeeded();
          return;
        } else {
          auto result = work();
          succeeded();
          return result;
        }
      } catch (const Error& error) {
        failure = error;
      }
      if (!again(*failure)) throw report();
    }
  }

  // The same step by step, for requests that are more than one call.
  /// Number of the attempt under way, from 1.
  std::uint32_t number() const noexcept { return number_; }
  /// Whether an attempt before this one may have done its work, its answer being lost.
  bool may_have_worked() const noexcept { return may_have_worked_; }
  /// The request is answered: tokens go back to the budget.
  void succeeded();
  /// The request came further than before: attempts are counted anew, but what they cost is still owed, so that a
  /// request that breaks for ever ends.
  void progressed() noexcept;
  /// After a failure: waits and returns true when another attempt may be made; otherwise report() says why not.
  bool again(const Error& failure);
  /// The failure of the last attempt, with the number of attempts in its text where it might have been tried on;
  /// Error{cancelled} when another would have been made but for the stop. Call after again() was false.
  Error report() const;

 private:
  enum class End { none, not_transient, attempts_spent, asked_to_wait_too_long, budget_spent, stopped };
  bool wait(Milliseconds delay);
  bool end(End reason) noexcept;

  Retrier& retrier_;
  const std::stop_token stop_;
  std::uint32_t number_ = 1, made_ = 0;
  std::uint32_t owed_ = 0;  ///< tokens that the last further attempt has cost
  bool may_have_worked_ = false;
  std::optional<Error> failure_;
  End end_ = End::none;
};

/// Does `work` as often as it takes; see Attempts::run().
template <typename Work>
std::invoke_result_t<Work&> retry(Retrier& retrier, Work work) {
  return Attempts(retrier).run(std::move(work));
}
/// The same, until `stop` is requested.
template <typename Work>
std::invoke_result_t<Work&> retry(Retrier& retrier, const std::stop_token& stop, Work work) {
  return Attempts(retrier, stop).run(std::move(work));
}

/// The same for work that returns nothing and fails when it is done twice: where it fails after an attempt whose answer
/// may have been lost, `has_worked(error)` tells whether that attempt has worked.
template <typename Work, typename HasWorked>
void retry_until_done(Retrier& retrier, const std::stop_token& stop, Work work, HasWorked has_worked) {
  Attempts attempts(retrier, stop);
  attempts.run([&] {
    try {
      work();
    } catch (const Error& error) {
      if (!attempts.may_have_worked() || !has_worked(error)) throw;
    }
  });
}

template <typename Work, typename HasWorked>
void retry_until_done(Retrier& retrier, Work work, HasWorked has_worked) {
  retry_until_done(retrier, std::stop_token(), std::move(work), std::move(has_worked));
}

}  // namespace bale::flow
