// Batches out of a queue that fails now and then: no message is held for ever, none is deleted too early.
#include "jobs/collect/collector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"

namespace bale::collect {
namespace {

constexpr std::chrono::seconds timeout{1};

/// The machine's clock, which a test can put forward.
class AdvancedClock final : public os::Clock {
 public:
  TimePoint now() override { return os::system_clock().now() + ahead.load(); }
  std::chrono::steady_clock::time_point steady() override { return os::system_clock().steady() + ahead.load(); }
  bool sleep_for(Milliseconds duration, std::stop_token stop) override {
    return os::system_clock().sleep_for(duration, stop);
  }
  std::atomic<Milliseconds> ahead{Milliseconds(0)};
};

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    inner->create(dead, {});
    queue::QueueSettings settings;
    settings.visibility_timeout = timeout;
    settings.dead_letter = dead;
    settings.max_receive_count = 2;
    inner->create(name, settings);
    source.bucket = BucketName("b-b");
    source.visibility_timeout = timeout;
    source.batch.max_wait = std::chrono::seconds(1);
  }
  void announce(const std::string& key, const std::string& bucket = "b-b") {
    inner->send(name,
                {store::make_backfill_message({{BucketName(bucket), ObjectKey(key), false, 1, ETag("e"), {}, "01", {}}},
                                              Region("eu-west-1"))});
  }
  /// From now on each receive finds a message of `key`, and takes a quarter of a second.
  void keep_announcing(const std::string& key, const std::string& bucket = "b-b") {
    faulty.before_receive = [this, key, bucket] {
      clock.ahead = clock.ahead.load() + Milliseconds(250);
      ASSERT_LT(++receives, 100) << "it never ends";
      announce(key, bucket);
    };
  }
  /// Messages that somebody else would get within `wait`.
  std::size_t others_get(Milliseconds wait) { return inner->receive(name, 10, wait, {}).size(); }

  const QueueName name{"queue"}, dead{"dead"};
  config::Source source;
  int receives = 0;
  testing::FakeWorld outside;
  AdvancedClock clock;
  os::World world{clock,          outside.entropy,  outside.environment,
                  *outside.files, outside.terminal, outside.stop.get_token()};
  os::World queues_world{os::system_clock(), outside.entropy,  outside.environment,
                         *outside.files,     outside.terminal, outside.stop.get_token()};
  telemetry::Log log{world, telemetry::Level::info, telemetry::Format::json};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), queues_world);
  std::unique_ptr<queue::MessageQueue> inner = backend->queues(Region("eu-west-1"));
  testing::FaultyQueue faulty{*inner};
  Collector collector{faulty, name, source, world, log};
};

TEST_F(CollectorTest, ABatchIsWhatCameBeforeTheQueueFailed) {
  announce("a");
  faulty.faults.every(2);  // the first receive brings the message, the second fails
  const auto batch = collector.next(Milliseconds(100), false, {});
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->items.size(), 1u);
  EXPECT_EQ(collector.settle(*batch, {}), 1u);
  EXPECT_EQ(inner->depth(name).total(), 0u);
}

TEST_F(CollectorTest, AFailureBeforeAnythingCameIsTheCallers) {
  faulty.faults.arm("receive", "queue", Error(ErrorKind::unavailable, "no answer"));
  EXPECT_THROW(collector.next(Milliseconds(100), false, {}), Error);
}

TEST_F(CollectorTest, ABatchEndsAtItsDeadlineWhileEventsOfOneKeyKeepComing) {
  for (const bool drain : {false, true}) {
    receives = 0;
    keep_announcing("hot");
    const auto batch = collector.next(Milliseconds(5000), drain, {});
    ASSERT_TRUE(batch.has_value());
    EXPECT_EQ(batch->items.size(), 1u);
    EXPECT_GE(batch->messages.size(), 2u) << "it gathers";
    EXPECT_LE(receives, 6) << "a second, after the first message";
  }
}

TEST_F(CollectorTest, MessagesThatConcernOthersDoNotKeepItBeyondTheFirstWait) {
  keep_announcing("k", "elsewhere");
  EXPECT_FALSE(collector.next(Milliseconds(1000), false, {}).has_value());
  EXPECT_LE(receives, 5);
  EXPECT_EQ(inner->depth(name).total(), 0u) << "they are deleted on the way";
}

TEST_F(CollectorTest, AllThatIsThereIsTakenWithoutAWaitWhenItDrains) {
  source.batch.max_wait = std::chrono::seconds(600);
  for (int i = 0; i < 25; ++i) announce("k" + std::to_string(i));
  const auto before = clock.steady();
  const auto batch = collector.next(Milliseconds(100), true, {});
  ASSERT_TRUE(batch.has_value());
  EXPECT_GT(batch->items.size(), 10u);
  EXPECT_LT(clock.steady() - before, std::chrono::seconds(300));
}

TEST_F(CollectorTest, WhatCannotBeDeletedComesBack) {
  announce("a");
  const auto batch = collector.next(Milliseconds(100), true, {});
  faulty.faults.arm("remove", "queue", Error(ErrorKind::unavailable, "no answer"));
  collector.settle(*batch, {});
  EXPECT_EQ(others_get(Milliseconds(5000)), 1u) << "it is not held any more";
}

TEST_F(CollectorTest, WhatCannotBeGivenBackComesBackByItself) {
  announce("a");
  const auto batch = collector.next(Milliseconds(100), true, {});
  faulty.faults.arm("set_visibility", "queue", Error(ErrorKind::unavailable, "no answer"), 1);
  collector.give_back(*batch);
  EXPECT_EQ(others_get(Milliseconds(5000)), 1u);
}

TEST_F(CollectorTest, APoisonMessageReachesTheDeadLetterQueueWithItsReasonLoggedAndKeepsNothingBack) {
  inner->send(name, {"{\"Records\": 7}"});
  announce("a");
  const auto batch = collector.next(Milliseconds(100), true, {});
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->items.size(), 1u);
  collector.settle(*batch, {});
  for (int round = 0; round < 50 && inner->depth(dead).total() == 0; ++round)
    collector.next(Milliseconds(200), true, {});
  EXPECT_EQ(inner->depth(dead).total(), 1u);
  EXPECT_EQ(inner->depth(name).total(), 0u);
  EXPECT_THAT(outside.terminal.errors(), ::testing::HasSubstr("collect.poison"));
}

TEST_F(CollectorTest, OneBadObjectOfTenDelaysOnlyItself) {
  for (int i = 0; i < 10; ++i) announce("k" + std::to_string(i));
  auto batch = collector.next(Milliseconds(100), true, {});
  while (batch->items.size() < 10) {  // a receive may bring fewer than there are
    const auto more = collector.next(Milliseconds(100), true, {});
    ASSERT_TRUE(more.has_value());
    batch->items.insert(batch->items.end(), more->items.begin(), more->items.end());
    batch->messages.insert(batch->messages.end(), more->messages.begin(), more->messages.end());
    for (std::size_t i = batch->items.size() - more->items.size(); i < batch->items.size(); ++i)
      batch->items[i].messages = {i};
  }
  EXPECT_EQ(collector.settle(*batch, {{3, Error(ErrorKind::denied, "no permission")}}), 9u);
  EXPECT_EQ(inner->depth(name).total(), 1u);
  EXPECT_EQ(others_get(Milliseconds(5000)), 1u);
}

}  // namespace
}  // namespace bale::collect
