#include "flow/retry_policy.hpp"

#include <algorithm>
#include <string_view>

namespace bale::flow {
namespace {

using namespace std::string_view_literals;

// botocore/retries/standard.py: TransientRetryableChecker and ThrottledRetryableChecker.
constexpr std::string_view transient_codes[] = {"RequestTimeout"sv, "RequestTimeoutException"sv,
                                                "PriorRequestNotComplete"sv};
constexpr std::string_view throttling_codes[] = {"Throttling"sv,
                                                 "ThrottlingException"sv,
                                                 "ThrottledException"sv,
                                                 "RequestThrottledException"sv,
                                                 "RequestThrottled"sv,
                                                 "TooManyRequestsException"sv,
                                                 "ProvisionedThroughputExceededException"sv,
                                                 "TransactionInProgressException"sv,
                                                 "RequestLimitExceeded"sv,
                                                 "BandwidthLimitExceeded"sv,
                                                 "LimitExceededException"sv,
                                                 "SlowDown"sv,
                                                 "EC2ThrottledException"sv};

bool contains(const auto& codes, const std::string& code) noexcept {
  return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

}  // namespace

RetryClass retry_class(const Error& error) noexcept {
  // A stop is final, whatever the service was about to say.
  if (error.kind() == ErrorKind::cancelled) return RetryClass::never;
  if (contains(throttling_codes, error.code())) return RetryClass::throttled;
  if (contains(transient_codes, error.code())) return RetryClass::transient;
  if (!is_transient(error.kind())) return RetryClass::never;
  if (error.kind() == ErrorKind::throttled) return RetryClass::throttled;
  return error.kind() == ErrorKind::timeout ? RetryClass::timeout : RetryClass::transient;
}

bool had_no_effect(const Error& error) noexcept {
  return error.had_no_effect() || retry_class(error) == RetryClass::throttled;
}

std::uint32_t retry_cost(RetryClass failure) noexcept {
  // botocore/retries/standard.py, RetryQuotaChecker: _RETRY_COST and _TIMEOUT_RETRY_REQUEST.
  return failure == RetryClass::timeout ? 10 : 5;
}

RetryPlan plan_retry(const RetrySettings& settings, const Error& error, std::uint32_t attempt,
                     std::uint64_t chance) noexcept {
  const RetryClass failure = retry_class(error);
  if (failure == RetryClass::never) return {RetryVerdict::not_transient, {}};
  if (attempt >= settings.max_attempts) return {RetryVerdict::attempts_spent, {}};
  const Milliseconds asked = error.retry_after().value_or(Milliseconds(0));
  if (asked > settings.max_retry_after) return {RetryVerdict::asked_to_wait_too_long, {}};
  Milliseconds most = failure == RetryClass::throttled ? settings.throttled_base_delay : settings.base_delay;
  for (std::uint32_t i = 1; i < attempt && most < settings.max_delay; ++i) most *= 2;
  most = std::min(most, settings.max_delay);
  const auto jitter = static_cast<std::int64_t>(chance % (static_cast<std::uint64_t>(most.count()) + 1));
  return {RetryVerdict::again, std::max(Milliseconds(jitter), asked)};
}

}  // namespace bale::flow
