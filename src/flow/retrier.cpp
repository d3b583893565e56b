#include "flow/retrier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace bale::flow {

bool RetryBudget::take(std::uint32_t tokens) noexcept {
  const Lock lock(mutex_);
  if (left_ < tokens) return false;
  left_ -= tokens;
  return true;
}

void RetryBudget::give(std::uint32_t tokens) noexcept {
  const Lock lock(mutex_);
  left_ += std::min(tokens, limit_ - left_);
}

std::uint32_t RetryBudget::left() const noexcept {
  const Lock lock(mutex_);
  return left_;
}

Retrier::Retrier(const os::World& world, RetrySettings settings, Notice on_retry, Failed on_failure)
    : clock_(world.clock),
      entropy_(world.entropy),
      stop_(world.stop),
      settings_(settings),
      on_retry_(std::move(on_retry)),
      on_failure_(std::move(on_failure)),
      budget_(settings.budget) {}

Attempts::Attempts(Retrier& retrier, std::stop_token stop) : retrier_(retrier), stop_(std::move(stop)) {}

void Attempts::succeeded() {
  // botocore/retries/standard.py, RetryQuotaChecker: a success returns what its last retry has cost, or 1.
  retrier_.budget_.give(owed_ > 0 ? owed_ : 1);
  owed_ = 0;
}

void Attempts::progressed() noexcept { number_ = 1; }

bool Attempts::again(const Error& failure) {
  failure_ = failure;
  ++made_;
  if (retrier_.on_failure_) retrier_.on_failure_(failure);
  const RetryClass kind = retry_class(failure);
  const RetryPlan plan = plan_retry(retrier_.settings_, failure, number_, retrier_.entropy_.next_u64());
  switch (plan.verdict) {
    case RetryVerdict::not_transient: return end(End::not_transient);
    case RetryVerdict::attempts_spent: return end(End::attempts_spent);
    case RetryVerdict::asked_to_wait_too_long: return end(End::asked_to_wait_too_long);
    case RetryVerdict::again: break;
  }
  if (stop_.stop_requested() || retrier_.stop_.stop_requested()) return end(End::stopped);
  if (!retrier_.budget_.take(retry_cost(kind))) return end(End::budget_spent);
  owed_ = retry_cost(kind);
  if (retrier_.on_retry_) retrier_.on_retry_(failure, made_, plan.delay);
  if (!wait(plan.delay)) return end(End::stopped);
  may_have_worked_ = may_have_worked_ || !had_no_effect(failure);
  ++number_;
  return true;
}

bool Attempts::end(End reason) noexcept {
  end_ = reason;
  return false;
}

bool Attempts::wait(Milliseconds delay) {
  if (!stop_.stop_possible()) return retrier_.clock_.sleep_for(delay, retrier_.stop_);
  std::stop_source either;
  const auto pass_on = [&either] { either.request_stop(); };
  const std::stop_callback mine(stop_, pass_on);
  const std::stop_callback everyones(retrier_.stop_, pass_on);
  return retrier_.clock_.sleep_for(delay, either.get_token());
}

Error Attempts::report() const {
  const Error& failure = failure_.value();
  const auto several = [&](std::string_view why) {
    return failure.with_summary(fmt::format("{}; gave up after {}{}", failure.summary(),
                                            made_ == 1 ? "one attempt" : fmt::format("{} attempts", made_), why));
  };
  switch (end_) {
    case End::attempts_spent: return several("");
    case End::budget_spent: return several(", since most requests to this service fail now");
    case End::asked_to_wait_too_long:
      return several(fmt::format(", since the service asks to wait {}",
                                 format_duration(failure.retry_after().value_or(Milliseconds(0)))));
    case End::stopped: {
      const Error stopped(ErrorKind::cancelled, "stopped before the next attempt", failure.where());
      return (failure.had_no_effect() ? stopped.without_effect() : stopped).with_cause(failure);
    }
    case End::none:
    case End::not_transient: break;
  }
  return failure;
}

}  // namespace bale::flow
