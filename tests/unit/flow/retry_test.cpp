#include <algorithm>
#include <set>
#include <stdexcept>

#include "flow/retrier.hpp"
#include "support/fake_world.hpp"

namespace bale::flow {
namespace {

constexpr std::uint64_t highest = ~std::uint64_t{0};

Error unavailable() { return Error(ErrorKind::unavailable, "the connection broke", "s3://b/k"); }
Error throttled() { return Error(ErrorKind::throttled, "slow down", "s3://b/k").with_code("SlowDown"); }

// ---- Policy

TEST(RetryPolicyTest, OnlyPassingFaultsAreTriedAgain) {
  std::set<ErrorKind> again;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    const Error error(static_cast<ErrorKind>(kind), "x");
    if (plan_retry({}, error, 1, 0).verdict == RetryVerdict::again) again.insert(error.kind());
  }
  EXPECT_EQ(again, (std::set{ErrorKind::throttled, ErrorKind::unavailable, ErrorKind::timeout}));
}

TEST(RetryPolicyTest, CodesOfTheSdksCountWhateverTheKind) {
  const auto class_of = [](ErrorKind kind, const char* code) { return retry_class(Error(kind, "x").with_code(code)); };
  EXPECT_EQ(class_of(ErrorKind::invalid, "RequestTimeout"), RetryClass::transient);
  EXPECT_EQ(class_of(ErrorKind::precondition, "PriorRequestNotComplete"), RetryClass::transient);
  EXPECT_EQ(class_of(ErrorKind::unavailable, "SlowDown"), RetryClass::throttled);
  EXPECT_EQ(class_of(ErrorKind::invalid, "ProvisionedThroughputExceededException"), RetryClass::throttled);
  EXPECT_EQ(class_of(ErrorKind::timeout, ""), RetryClass::timeout);
  EXPECT_EQ(class_of(ErrorKind::invalid, "NoSuchKey"), RetryClass::never);
  EXPECT_EQ(class_of(ErrorKind::cancelled, "SlowDown"), RetryClass::never);
}

TEST(RetryPolicyTest, KnowsWhatCertainlyChangedNothing) {
  EXPECT_FALSE(had_no_effect(unavailable()));
  EXPECT_TRUE(had_no_effect(unavailable().without_effect()));
  EXPECT_TRUE(had_no_effect(throttled()));
  EXPECT_FALSE(had_no_effect(Error(ErrorKind::timeout, "no answer")));
}

TEST(RetryPolicyTest, BacksOffExponentiallyUpToTheLongestDelay) {
  const auto longest = [](const Error& error, std::uint32_t attempt) {
    Milliseconds most{0};
    for (std::uint64_t chance = 0; chance <= 20'000; ++chance)
      most = std::max(most, plan_retry({.max_attempts = 100}, error, attempt, chance).delay);
    return most.count();
  };
  EXPECT_EQ(longest(unavailable(), 1), 50);
  EXPECT_EQ(longest(unavailable(), 2), 100);
  EXPECT_EQ(longest(unavailable(), 5), 800);
  EXPECT_EQ(longest(unavailable(), 99), 20'000);
  EXPECT_EQ(longest(throttled(), 1), 1000);
  EXPECT_EQ(longest(throttled(), 4), 8000);
}

TEST(RetryPolicyTest, JitterIsFull) {
  std::set<std::int64_t> delays;
  for (std::uint64_t chance = 0; chance < 51; ++chance)
    delays.insert(plan_retry({}, unavailable(), 1, chance).delay.count());
  EXPECT_EQ(delays.size(), 51u);
  EXPECT_EQ(*delays.begin(), 0);
  EXPECT_LE(plan_retry({}, unavailable(), 1, highest).delay.count(), 50);
}

TEST(RetryPolicyTest, HonoursRetryAfter) {
  const Error asked = throttled().with_retry_after(Milliseconds(7000));
  EXPECT_EQ(plan_retry({}, asked, 1, highest).delay.count(), 7000);
  EXPECT_EQ(plan_retry({}, throttled().with_retry_after(Milliseconds(1)), 1, 900).delay.count(), 900);
  const RetryPlan endless = plan_retry({}, throttled().with_retry_after(Milliseconds(60'001)), 1, 0);
  EXPECT_EQ(endless.verdict, RetryVerdict::asked_to_wait_too_long);
}

TEST(RetryPolicyTest, AttemptsAreCounted) {
  EXPECT_EQ(plan_retry({.max_attempts = 3}, unavailable(), 2, 0).verdict, RetryVerdict::again);
  EXPECT_EQ(plan_retry({.max_attempts = 3}, unavailable(), 3, 0).verdict, RetryVerdict::attempts_spent);
  EXPECT_EQ(plan_retry({.max_attempts = 1}, unavailable(), 1, 0).verdict, RetryVerdict::attempts_spent);
}

// ---- Attempts

class AttemptsTest : public ::testing::Test {
 protected:
  /// Runs a request that fails `failures` times with `error`; returns the number of attempts.
  int request(Retrier& retrier, int failures, const Error& error) {
    int attempts = 0;
    Attempts(retrier).run([&] {
      if (++attempts <= failures) throw error;
    });
    return attempts;
  }
  template <typename Work>
  static Error failure_of(const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::internal, "nothing");
  }

  testing::FakeWorld outside_;
};

TEST_F(AttemptsTest, TriesUntilItWorks) {
  std::vector<std::uint32_t> noticed;
  Milliseconds waited{0};
  Retrier retrier(outside_.world(), {}, [&](const Error& failure, std::uint32_t attempt, Milliseconds delay) {
    EXPECT_EQ(failure.kind(), ErrorKind::unavailable);
    noticed.push_back(attempt);
    waited += delay;
  });
  const auto start = outside_.clock.steady();
  EXPECT_EQ(Attempts(retrier).run([] { return 7; }), 7);
  EXPECT_EQ(outside_.clock.steady(), start);
  EXPECT_EQ(request(retrier, 4, unavailable()), 5);
  EXPECT_EQ(noticed, (std::vector<std::uint32_t>{1, 2, 3, 4}));
  EXPECT_EQ(outside_.clock.steady() - start, waited);
  EXPECT_GT(waited.count(), 0);
}

TEST_F(AttemptsTest, SaysHowOftenItTried) {
  Retrier retrier(outside_.world(), {.max_attempts = 3});
  const Error error = failure_of([&] { request(retrier, 99, unavailable().with_code("InternalError")); });
  EXPECT_EQ(error.summary(), "the connection broke; gave up after 3 attempts");
  EXPECT_EQ(error.where(), "s3://b/k");
  EXPECT_EQ(error.code(), "InternalError");
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  const Error busy = failure_of([&] { request(retrier, 99, throttled().with_retry_after(std::chrono::minutes(2))); });
  EXPECT_EQ(busy.summary(), "slow down; gave up after one attempt, since the service asks to wait 2 min 0 s");
}

TEST_F(AttemptsTest, FinalErrorsPassAsTheyAre) {
  Retrier retrier(outside_.world());
  int attempts = 0;
  const Error error = failure_of([&] {
    Attempts(retrier).run([&] {
      if (++attempts == 1) throw unavailable();
      throw Error(ErrorKind::not_found, "no such key").with_code("NoSuchKey");
    });
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(error.summary(), "no such key");
  EXPECT_THROW(Attempts(retrier).run([] { throw std::runtime_error("a defect"); }), std::runtime_error);
}

TEST_F(AttemptsTest, NothingIsTriedAfterAStop) {
  Retrier retrier(outside_.world());
  const auto start = outside_.clock.steady();
  int attempts = 0;
  const auto stopped_by = [&](std::stop_source& stop, std::stop_token mine) {
    return failure_of([&] {
      Attempts(retrier, mine).run([&] {
        ++attempts;
        stop.request_stop();
        throw unavailable();
      });
    });
  };
  std::stop_source own;
  const Error mine = stopped_by(own, own.get_token());
  EXPECT_EQ(mine.kind(), ErrorKind::cancelled);
  EXPECT_EQ(mine.cause(), "the connection broke (s3://b/k)");
  EXPECT_EQ(stopped_by(outside_.stop, {}).kind(), ErrorKind::cancelled);
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(outside_.clock.steady(), start);
  EXPECT_EQ(failure_of([&] { request(retrier, 1, Error(ErrorKind::denied, "no")); }).kind(), ErrorKind::denied);
}

TEST_F(AttemptsTest, AStopEndsTheWait) {
  const os::World world{os::system_clock(), outside_.entropy,  outside_.environment,
                        *outside_.files,    outside_.terminal, outside_.stop.get_token()};
  Retrier retrier(world);
  std::stop_source stop;
  const auto start = std::chrono::steady_clock::now();
  const Error error = failure_of([&] {
    std::jthread stopper([&] {
      std::this_thread::sleep_for(Milliseconds(30));
      stop.request_stop();
    });
    Attempts(retrier, stop.get_token()).run([&] { throw throttled().with_retry_after(std::chrono::seconds(30)); });
  });
  EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(AttemptsTest, TheBudgetEndsAStorm) {
  Retrier retrier(outside_.world(), {.max_attempts = 8, .budget = 50});
  EXPECT_EQ(failure_of([&] { request(retrier, 99, unavailable()); }).summary(),
            "the connection broke; gave up after 8 attempts");
  EXPECT_EQ(retrier.budget().left(), 15u);  // 7 retries of 5
  EXPECT_EQ(failure_of([&] { request(retrier, 99, unavailable()); }).summary(),
            "the connection broke; gave up after 4 attempts, since most requests to this service fail now");
  EXPECT_EQ(retrier.budget().left(), 0u);
  int attempts = 0;
  EXPECT_EQ(failure_of([&] {
              Attempts(retrier).run([&] {
                ++attempts;
                throw unavailable();
              });
            }).kind(),
            ErrorKind::unavailable);
  EXPECT_EQ(attempts, 1);
  for (int i = 0; i < 10; ++i) request(retrier, 0, unavailable());  // each success gives one back
  EXPECT_EQ(retrier.budget().left(), 10u);
  request(retrier, 1, Error(ErrorKind::timeout, "no answer"));  // a timeout costs 10, and gives them back
  EXPECT_EQ(retrier.budget().left(), 10u);
  for (int i = 0; i < 100; ++i) request(retrier, 0, unavailable());
  EXPECT_EQ(retrier.budget().left(), 50u);  // never more than at first
}

TEST_F(AttemptsTest, KnowsWhetherAnEarlierAttemptMayHaveWorked) {
  Retrier retrier(outside_.world());
  std::vector<bool> known;
  const std::vector<Error> failures = {throttled(), unavailable().without_effect(), unavailable(), throttled()};
  Attempts attempts(retrier);
  attempts.run([&] {
    known.push_back(attempts.may_have_worked());
    if (attempts.number() <= failures.size()) throw failures[attempts.number() - 1];
  });
  EXPECT_EQ(known, (std::vector<bool>{false, false, false, true, true}));
}

TEST_F(AttemptsTest, ProgressCountsAnewButOwesOn) {
  Retrier retrier(outside_.world(), {.max_attempts = 2, .budget = 50});
  Attempts attempts(retrier);
  int breaks = 0;
  while (attempts.again(unavailable())) {
    attempts.progressed();
    ASSERT_LT(++breaks, 100);
  }
  EXPECT_EQ(breaks, 10);  // the budget ends what the number of attempts does not
}

}  // namespace
}  // namespace bale::flow
