// A lease is of one process, is lost by one that was stopped, and is taken from one that is gone.
#include "records/lease.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "flow/retrier.hpp"
#include "records/retrying_records.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::records {
namespace {

using ::testing::AllOf;
using testing::FakeClock;
using testing::FaultTime;
using ::testing::HasSubstr;

/// A clock that tells a test of each sleep, when the sleeper has woken up.
class WatchedClock final : public os::Clock {
 public:
  TimePoint now() override { return inner.now(); }
  std::chrono::steady_clock::time_point steady() override { return inner.steady(); }
  bool sleep_for(Milliseconds duration, std::stop_token stop) override {
    const bool whole = inner.sleep_for(duration, stop);
    ++sleeps;
    if (after_sleep) after_sleep(duration);
    return whole;
  }
  FakeClock inner;
  std::function<void(Milliseconds)> after_sleep;
  int sleeps = 0;
};

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() { inner->create_table(table, {{"id", KeyType::string}, std::nullopt}); }

  std::unique_ptr<Lease> acquire(const std::string& host, os::Clock& clock, LeaseSettings settings = {},
                                 const HasEnded& has_ended = {}, const std::stop_token& stop = {}) {
    return acquire_lease(records, place, {host, 42, "run-" + host, "machine", "7"}, settings, clock, outside.entropy,
                         has_ended, stop);
  }
  static LeaseSettings waiting(Milliseconds wait) {
    LeaseSettings settings;
    settings.wait = wait;
    return settings;
  }
  Item item() { return inner->get(table, place.key).value_or(Item{}); }

  testing::FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<RecordStore> inner = backend->records(Region("eu-west-1"));
  testing::FaultyRecords records{*inner};
  const TableName table{"leases"};
  const LeasePlace place{table, {{"id", Value("x")}}, "raw file x"};
  FakeClock holders, waiters;  ///< of two hosts
};

constexpr Milliseconds duration{60'000};

TEST_F(LeaseTest, TellsWhoHoldsItAndSinceWhen) {
  auto lease = acquire("host-a", holders);
  holders.advance(Milliseconds(20'000));
  lease->renew();
  const Error error = testing::error_of([&] { acquire("host-b", waiters); });
  EXPECT_EQ(error.kind(), ErrorKind::precondition);
  EXPECT_EQ(error.code(), lease_held_code);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("host-a (process 42, run run-host-a)"), HasSubstr("raw file x"),
                    HasSubstr("since 2025-01-23T09:05:07.000Z"), HasSubstr("sign of life 2025-01-23T09:05:27.000Z")));
}

TEST_F(LeaseTest, AWaiterTakesItWhenTheHeartbeatStopsWhateverTheClocksSay) {
  holders.set(from_epoch_ms(4'000'000'000'000));  // decades ahead
  auto frozen = acquire("host-a", holders);
  const auto begun = waiters.steady();
  auto lease = acquire("host-b", waiters, waiting(2 * duration));
  EXPECT_EQ(lease->fence(), 2);
  EXPECT_GE(waiters.steady() - begun, duration);
  EXPECT_LE(waiters.steady() - begun, duration + duration / 2);
}

TEST_F(LeaseTest, AWaiterDoesNotTakeItFromALivingHolder) {
  auto lease = acquire("host-a", holders);
  WatchedClock clock;
  clock.after_sleep = [&](Milliseconds slept) {
    holders.advance(slept);
    lease->renew();
  };
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", clock, waiting(5 * duration)));
  EXPECT_GE(clock.sleeps, 15);
  lease->check();
}

TEST_F(LeaseTest, AWaiterThatWasFrozenItselfBelievesNothingOld) {
  auto lease = acquire("host-a", holders);
  WatchedClock clock;
  // Between its two looks the waiter stood still for an hour, in which the holder went on.
  clock.after_sleep = [&](Milliseconds) {
    if (clock.sleeps > 1) return;
    clock.inner.advance(std::chrono::hours(1));
    for (int i = 0; i < 60; ++i) {
      holders.advance(Milliseconds(60'000) - Milliseconds(1));
      lease->renew();
    }
  };
  clock.inner.set(holders.now());
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", clock, waiting(duration)));
  lease->check();
}

TEST_F(LeaseTest, TheWallClockTakesItOnlyWhenItIsLongOver) {
  LeaseSettings settings;
  auto lease = acquire("host-a", holders);
  waiters.set(holders.now() + settings.duration + settings.clock_tolerance);
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", waiters));
  waiters.set(waiters.now() + Milliseconds(1));
  EXPECT_EQ(acquire("host-b", waiters)->fence(), 2);
}

TEST_F(LeaseTest, AStaleLeaseIsWatchedAndTakenWhenItsHolderStandsStill) {
  auto frozen = acquire("host-a", holders);
  LeaseSettings settings;
  std::vector<std::int64_t> watched;
  settings.watches = [&](const LeaseState& lease) { watched.push_back(lease.holder.pid); };
  waiters.set(holders.now() + duration - Milliseconds(1));
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", waiters, settings));
  EXPECT_TRUE(watched.empty()) << "its time is not over";
  waiters.advance(Milliseconds(1));
  const auto begun = waiters.steady();
  auto lease = acquire("host-b", waiters, settings);
  EXPECT_EQ(lease->fence(), 2);
  EXPECT_EQ(watched, std::vector<std::int64_t>{42});
  EXPECT_GE(waiters.steady() - begun, duration);
  EXPECT_LE(waiters.steady() - begun, duration + duration / 2);
  EXPECT_ERROR(ErrorKind::precondition, lease_lost_code, frozen->renew());
}

TEST_F(LeaseTest, AWatchedLeaseWhoseHolderLivesIsHeld) {
  holders.set(waiters.now() - 2 * duration);  // a clock that is behind makes each heartbeat look old
  auto lease = acquire("host-a", holders);
  WatchedClock clock;
  clock.after_sleep = [&](Milliseconds slept) {
    holders.advance(slept);
    lease->renew();
  };
  LeaseSettings settings;
  int watched = 0;
  settings.watches = [&](const LeaseState&) { ++watched; };
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", clock, settings));
  EXPECT_EQ(watched, 1);
  EXPECT_EQ(clock.sleeps, 1) << "the first heartbeat ends the watch";
  lease->check();
}

TEST_F(LeaseTest, IsTakenAtOnceFromAProcessThatHasEnded) {
  auto lease = acquire("host-a", holders);
  std::vector<LeaseHolder> asked;
  const auto alive = [&](const LeaseHolder& holder) {
    asked.push_back(holder);
    return false;
  };
  EXPECT_ERROR(ErrorKind::precondition, lease_held_code, acquire("host-b", waiters, {}, alive));
  EXPECT_EQ(asked, (std::vector<LeaseHolder>{{"host-a", 42, "run-host-a", "machine", "7"}}));
  EXPECT_EQ(acquire("host-b", waiters, {}, [](const LeaseHolder&) { return true; })->fence(), 2);
}

TEST_F(LeaseTest, AHolderThatWasStoppedFindsOutByItself) {
  auto lease = acquire("host-a", holders);
  holders.advance(duration - Milliseconds(1));
  lease->check();
  EXPECT_FALSE(lease->is_lost());
  holders.advance(Milliseconds(1));
  EXPECT_TRUE(lease->is_lost());
  EXPECT_ERROR(ErrorKind::precondition, lease_lost_code, lease->check());
  const int requests = records.faults.calls("update");
  EXPECT_ERROR(ErrorKind::precondition, lease_lost_code, lease->renew());
  EXPECT_EQ(records.faults.calls("update"), requests) << "a late heartbeat must not revive the lease";
}

TEST_F(LeaseTest, AHeartbeatWhoseAnswerIsLostIsRepeated) {
  auto lease = acquire("host-a", holders);
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no answer"), 1, FaultTime::after);
  holders.advance(duration / 3);
  EXPECT_ERROR(ErrorKind::unavailable, "", lease->renew());
  EXPECT_EQ(lease_of(item())->beat, 1);
  lease->check();
  lease->renew();
  EXPECT_EQ(lease_of(item())->beat, 2);
  holders.advance(duration - Milliseconds(1));
  lease->check();
}

TEST_F(LeaseTest, AnAcquisitionWhoseAnswerIsLostIsSettled) {
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no answer"), 1, FaultTime::after);
  auto lease = acquire("host-a", holders);
  EXPECT_EQ(lease->owner(), lease_of(item())->owner);
  lease->renew();
}

TEST_F(LeaseTest, AnAcquisitionThatDidNotArriveIsNone) {
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no answer"));
  EXPECT_ERROR(ErrorKind::unavailable, "", acquire("host-a", holders));
  EXPECT_FALSE(lease_of(item()));
}

TEST_F(LeaseTest, ARepeatedAcquisitionThatIsRefusedIsSettled) {
  flow::Retrier retrier(world);
  RetryingRecords retrying(records, retrier);
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no answer"), 1, FaultTime::after);
  const auto lease = acquire_lease(retrying, place, {"host-a", 42, "run", "", ""}, {}, holders, outside.entropy);
  EXPECT_EQ(lease->fence(), 1) << "the repetition is refused by the lease that the first attempt took";
  EXPECT_EQ(lease->owner(), lease_of(item())->owner);
}

TEST_F(LeaseTest, WaitingEndsWithAStop) {
  auto lease = acquire("host-a", holders);
  std::stop_source stop;
  WatchedClock clock;
  clock.after_sleep = [&](Milliseconds) { stop.request_stop(); };
  EXPECT_ERROR(ErrorKind::cancelled, "", acquire("host-b", clock, waiting(5 * duration), {}, stop.get_token()));
  EXPECT_LE(clock.sleeps, 2);
}

TEST_F(LeaseTest, ADurationThatIsNoneIsRefused) {
  for (const Milliseconds bad :
       {Milliseconds(0), Milliseconds(-1), Milliseconds(std::chrono::hours(24)) + Milliseconds(1)}) {
    LeaseSettings settings;
    settings.duration = bad;
    EXPECT_ERROR(ErrorKind::invalid, "", acquire("host-a", holders, settings));
  }
}

TEST_F(LeaseTest, EndsWithItsObject) {
  acquire("host-a", holders).reset();
  EXPECT_EQ(acquire("host-b", waiters)->fence(), 2);
}

TEST_F(LeaseTest, ADestructorThatCannotReachTheStoreDoesNotThrow) {
  auto lease = acquire("host-a", holders);
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no connection"));
  lease.reset();
  EXPECT_TRUE(lease_of(item()));
}

TEST_F(LeaseTest, ADamagedLeaseKeepsNobodyOut) {
  for (const Item& damage :
       {Item{{"lease_owner", Value("")}}, Item{{"lease_owner", Value(true)}}, Item{{"lease_owner", Value("somebody")}},
        Item{
            {"lease_owner", Value("somebody")}, {"lease_beat", Value("x")}, {"lease_fence", Value(std::int64_t{7})}}}) {
    Item damaged = damage;
    damaged.insert(place.key.begin(), place.key.end());
    inner->put(table, damaged);
    auto lease = acquire("host-a", holders);
    EXPECT_EQ(lease->fence(), damage.contains("lease_fence") ? 8 : 1);
    lease->renew();
  }
}

TEST(LeaseRules, OneOfThreeReasonsIsEnough) {
  LeaseState lease;
  lease.duration = duration;
  lease.renewed = from_epoch_ms(1'000'000);
  const Milliseconds tolerance{500'000};
  const auto seen = [](bool ended, std::int64_t unchanged, std::int64_t now) {
    return LeaseObservation{ended, Milliseconds(unchanged), from_epoch_ms(now)};
  };
  EXPECT_FALSE(may_take(lease, seen(false, 59'999, 1'560'000), tolerance));
  EXPECT_TRUE(may_take(lease, seen(true, 0, 0), tolerance));
  EXPECT_TRUE(may_take(lease, seen(false, 60'000, 0), tolerance));
  EXPECT_TRUE(may_take(lease, seen(false, 0, 1'560'001), tolerance));
}

/// A clock on which a thread sleeps until a test has moved the time on.
class SteppedClock final : public os::Clock {
 public:
  TimePoint now() override { return from_epoch_ms(to_epoch_ms(noon_) + passed().count()); }
  std::chrono::steady_clock::time_point steady() override { return std::chrono::steady_clock::time_point(passed()); }
  bool sleep_for(Milliseconds wanted, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    const Milliseconds end = passed_ + wanted;
    ++sleepers_;
    changed_.notify_all();
    const bool whole = changed_.wait(lock, stop, [&] { return passed_ >= end; });
    --sleepers_;
    ++wakings_;
    changed_.notify_all();
    return whole;
  }
  /// Moves the time on when somebody sleeps, and waits until he sleeps again.
  void step(Milliseconds time) {
    advance(time);
    wait_for_sleeper();
  }
  void advance(Milliseconds time) {
    wait_for_sleeper();
    std::unique_lock lock(mutex_);
    const int before = wakings_;
    passed_ += time;
    changed_.notify_all();
    changed_.wait(lock, [&] { return wakings_ > before; });
  }
  void wait_for_sleeper() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sleepers_ > 0; });
  }

 private:
  Milliseconds passed() {
    const std::scoped_lock lock(mutex_);
    return passed_;
  }
  const TimePoint noon_ = parse_time("2026-11-30T12:00:00Z");
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Milliseconds passed_{1'000'000};
  int sleepers_ = 0, wakings_ = 0;
};

class LeaseKeeperTest : public LeaseTest {
 protected:
  SteppedClock clock;
};

TEST_F(LeaseKeeperTest, KeepsItAsLongAsTheWorkTakes) {
  auto lease = acquire("host-a", clock);
  LeaseKeeper keeper(*lease, clock);
  for (int i = 1; i <= 10; ++i) {
    clock.step(duration / 3);
    lease->check();
    EXPECT_EQ(lease_of(item())->beat, i);
  }
}

TEST_F(LeaseKeeperTest, TriesAgainInTimeWhenAHeartbeatFails) {
  std::atomic<int> failures{0}, losses{0};
  auto lease = acquire("host-a", clock);
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no answer"));
  LeaseKeeper keeper(
      *lease, clock, [&](const Error&) { ++losses; }, [&](const Error&) { ++failures; });
  for (int i = 0; i < 6; ++i) {
    clock.step(duration / 3);
    lease->check();
  }
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(losses, 0);
}

TEST_F(LeaseKeeperTest, TellsOnceThatItIsLost) {
  std::promise<std::string> told;  // a second value would throw
  auto lease = acquire("host-a", clock);
  auto taker = acquire("host-b", waiters, {}, [](const LeaseHolder&) { return true; });
  LeaseKeeper keeper(*lease, clock, [&](const Error& error) { told.set_value(error.code()); });
  clock.advance(duration / 3);
  EXPECT_EQ(told.get_future().get(), lease_lost_code);
  EXPECT_TRUE(lease->is_lost());
  taker->check();
}

TEST_F(LeaseKeeperTest, TellsThatAnUnreachableStoreHasCostIt) {
  std::promise<std::string> told;
  std::atomic<int> failures{0};
  auto lease = acquire("host-a", clock);
  records.faults.arm("update", "leases", Error(ErrorKind::unavailable, "no connection"), 2);
  LeaseKeeper keeper(
      *lease, clock, [&](const Error& error) { told.set_value(error.code()); }, [&](const Error&) { ++failures; });
  clock.step(duration / 3);
  clock.step(duration / 3);
  lease->check();
  clock.advance(duration / 3);
  EXPECT_EQ(told.get_future().get(), lease_lost_code);
  EXPECT_EQ(failures, 2);
}

}  // namespace
}  // namespace bale::records
