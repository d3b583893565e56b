// Whether a failed request is tried again, and how long to wait first. Pure: chance is a parameter; the waiting is in
// retrier.hpp.
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "base/time.hpp"

namespace bale::flow {

/// What a failure is to those who might try again.
enum class RetryClass {
  never,      ///< the same request would fail the same way, or nobody knows that it would not
  transient,  ///< a passing fault
  timeout,    ///< a passing fault that has already cost a long wait
  throttled,  ///< the service asks for fewer requests, and did nothing of this one
};

/// The class of a failure: by its code where that is one of the AWS SDKs' transient or throttling codes
/// (botocore/retries/standard.py), else by its kind.
RetryClass retry_class(const Error& error) noexcept;

/// Whether the request that failed certainly changed nothing: Error::had_no_effect(), or the service throttled it.
bool had_no_effect(const Error& error) noexcept;

/// How often and how patiently. The values are those of the AWS SDKs' standard retry mode (botocore/retries/standard.py
/// and quota.py; https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html) unless said otherwise.
struct RetrySettings {
  /// Attempts in all, the first included; at least 1. The SDKs' 3 are over within a fifth of a second, too little for
  /// a backup that runs unattended; s5cmd (--retry-count) and rclone (--low-level-retries) take 10. With 8, a request
  /// outlasts some 3 s without service, and half a minute of throttling.
  std::uint32_t max_attempts = 8;
  Milliseconds base_delay{50};              ///< longest wait before the second attempt
  Milliseconds throttled_base_delay{1000};  ///< the same after throttling
  Milliseconds max_delay{20'000};           ///< no back-off is longer
  /// The longest wait that a service may ask for; beyond it the request fails at once and its caller decides. The
  /// patience of a person or of a message's visibility, not the SDKs' 5 s: who asks for a minute means it.
  Milliseconds max_retry_after{60'000};
  /// All requests together may owe this many tokens; see RetryBudget.
  std::uint32_t budget = 500;
};

/// Tokens that a further attempt takes from the budget after a failure of this class.
std::uint32_t retry_cost(RetryClass failure) noexcept;

enum class RetryVerdict { again, not_transient, attempts_spent, asked_to_wait_too_long };

struct RetryPlan {
  RetryVerdict verdict = RetryVerdict::not_transient;
  Milliseconds delay{0};  ///< with `again`: how long to wait first
};

/// What to do after attempt number `attempt` (1 is the first) failed with `error`. Exponential back-off with full
/// jitter: any wait from 0 to base * 2^(attempt-1), picked by `chance` (uniform over all of its values), and never less
/// than the service asked for. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
RetryPlan plan_retry(const RetrySettings& settings, const Error& error, std::uint32_t attempt,
                     std::uint64_t chance) noexcept;

}  // namespace bale::flow
