// Batches out of a queue that fails now and then: no message is held for ever, none is deleted too early.
#include "jobs/collect/collector.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <set>
#include <thread>
#include <utility>

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
  void announce(const std::string& key) {
    inner->send(name,
                {store::make_backfill_message({{BucketName("b-b"), ObjectKey(key), false, 1, ETag("e"), {}, "01", {}}},
                                              Region("eu-west-1"))});
  }
  void announce_version(const std::string& key, const std::string& version) {
    store::ObjectEvent event{BucketName("b-b"), ObjectKey(key), false, 1, ETag("e"), VersionId(version), version, {}};
    inner->send(name, {store::make_backfill_message({event}, Region("eu-west-1"))});
  }
  /// From now on each receive finds a message of `key`, and takes a quarter of a second.
  void keep_announcing(const std::string& key) {
    faulty.before_receive = [this, key] {
      clock.ahead = clock.ahead.load() + Milliseconds(250);
      ASSERT_LT(++receives, 100) << "it never ends";
      announce(key);
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
  Collector collector{faulty, name, source, Versions::each, world, log};
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
  source.suffix = ".gz";
  keep_announcing("k");
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

TEST_F(CollectorTest, WhenItBreaksAllThatItReceivedComesBack) {
  source.suffix = ".gz";
  announce("a.gz");
  announce("k");  // deleted on the way, but for the first time
  faulty.before_remove = [broke = false]() mutable {
    if (!std::exchange(broke, true)) throw std::bad_alloc();
  };
  EXPECT_THROW(collector.next(Milliseconds(100), true, {}), std::bad_alloc);
  EXPECT_EQ(inner->depth(name).visible, 2u);
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

TEST_F(CollectorTest, EveryVersionOfAKeyComesInABatchOfItsOwnInWhateverOrder) {
  for (const char* version : {"02", "04", "01", "02", "03"}) announce_version("k", version);
  announce_version("another", "01");
  std::multiset<std::string> versions;
  std::size_t batches = 0, settled = 0;
  while (const auto batch = collector.next(Milliseconds(300), true, {})) {
    std::set<std::string> keys;
    for (const BatchItem& item : batch->items) {
      EXPECT_TRUE(keys.insert(item.event.key.str()).second) << "one version of a key";
      if (item.event.key.str() == "k") versions.insert(item.event.version_id.str());
    }
    settled += collector.settle(*batch, {});
    ASSERT_LT(++batches, 10u);
  }
  EXPECT_EQ(versions, (std::multiset<std::string>{"01", "02", "03", "04"}));
  EXPECT_EQ(settled, 6u);
  EXPECT_EQ(inner->depth(name).total(), 0u);
}

TEST_F(CollectorTest, WhatIsHeldForLaterStaysInvisibleUntilItIsGivenBack) {
  Collector keeping{faulty, name, source, Versions::each, world, log};  // of the source as it is now, with its timeout
  for (const char* version : {"01", "02", "03"}) announce_version("k", version);
  std::optional<Batch> batch;
  for (int calls = 0; inner->depth(name).visible > 0 && calls < 10; ++calls) {  // a receive may bring fewer
    batch = keeping.next(Milliseconds(300), true, {});
    keeping.settle(*batch, {});
  }
  const std::size_t held = inner->depth(name).in_flight;
  ASSERT_GE(held, 1u);
  EXPECT_EQ(others_get(Milliseconds(1500)), 0u) << "longer than the timeout";
  keeping.give_back_later();
  EXPECT_EQ(inner->depth(name).visible, held);
}

TEST_F(CollectorTest, WhenItBreaksWhatWaitsForALaterBatchComesBackToo) {
  for (const char* version : {"01", "02", "03"}) announce_version("k", version);
  faulty.before_receive = [this] {
    if (inner->depth(name).visible == 0) throw std::bad_alloc();
  };
  EXPECT_THROW(collector.next(Milliseconds(300), true, {}), std::bad_alloc);
  EXPECT_EQ(inner->depth(name).visible, 3u);
}

TEST_F(CollectorTest, AKeyThatIsWrittenAllTheTimeHasABoundedNumberOfMessagesHeld) {
  source.batch.max_objects = 5;
  for (int i = 0; i < 40; ++i) announce_version("hot", fmt::format("{:02}", i));
  const auto batch = collector.next(Milliseconds(300), true, {});
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->items.size(), 1u);
  EXPECT_LE(inner->depth(name).in_flight, 5 + queue::max_batch);
}

TEST(ReceivesAtOnce, GrowWhereSlowCallsBringAllTheyCanAndThereIsRoom) {
  const Milliseconds slow(50), fast(1);
  EXPECT_EQ(receives_at_once(1, 10, slow, 1000), 2u);
  EXPECT_EQ(receives_at_once(2, 20, slow, 1000), 4u);
  EXPECT_EQ(receives_at_once(8, 80, slow, 1000), 8u);
  EXPECT_EQ(receives_at_once(1, 10, fast, 1000), 1u) << "a local queue";
  EXPECT_EQ(receives_at_once(8, 79, slow, 1000), 1u) << "the queue is nearly empty";
  EXPECT_EQ(receives_at_once(4, 40, slow, 35), 3u);
  EXPECT_EQ(receives_at_once(4, 40, slow, 5), 1u);
  EXPECT_EQ(receives_at_once(1, 0, slow, 1000), 1u);
}

TEST_F(CollectorTest, ASlowQueueIsAskedSeveralTimesAtOnceAndNothingIsLost) {
  std::vector<std::string> bodies;
  for (int i = 0; i < 300; ++i) {
    bodies.push_back(store::make_backfill_message(
        {{BucketName("b-b"), ObjectKey(std::to_string(i)), false, 1, ETag("e"), {}, "01", {}}}, Region("eu-west-1")));
  }
  inner->send(name, bodies);
  std::atomic<int> at_once{0}, most{0};
  faulty.before_receive = [&] {
    most = std::max<int>(most, ++at_once);
    std::this_thread::sleep_for(Milliseconds(20));
    --at_once;
  };
  source.batch.max_objects = 250;
  source.batch.max_wait = std::chrono::seconds(30);
  const auto first = collector.next(Milliseconds(1000), true, {});
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->items.size(), 250u) << "not more are taken than the batch has room for";
  EXPECT_GT(most, 1);
  EXPECT_EQ(collector.settle(*first, {}), 250u);
  std::set<std::string> keys;
  for (const BatchItem& item : first->items) keys.insert(item.event.key.str());
  while (const auto next = collector.next(Milliseconds(1000), true, {})) {
    for (const BatchItem& item : next->items) keys.insert(item.event.key.str());
    collector.settle(*next, {});
  }
  EXPECT_EQ(keys.size(), 300u);
  EXPECT_EQ(inner->depth(name).total(), 0u);
}

TEST_F(CollectorTest, OfSeveralCallsOneMayFail) {
  std::vector<std::string> bodies;
  for (int i = 0; i < 100; ++i) {
    bodies.push_back(store::make_backfill_message(
        {{BucketName("b-b"), ObjectKey(std::to_string(i)), false, 1, ETag("e"), {}, "01", {}}}, Region("eu-west-1")));
  }
  inner->send(name, bodies);
  std::atomic<int> calls{0};
  faulty.before_receive = [&] {
    std::this_thread::sleep_for(Milliseconds(10));
    if (++calls == 3) throw Error(ErrorKind::unavailable, "no answer");
  };
  source.batch.max_wait = std::chrono::seconds(30);
  std::size_t got = 0;
  while (const auto next = collector.next(Milliseconds(500), true, {})) got += collector.settle(*next, {});
  EXPECT_EQ(got, 100u);
  EXPECT_GE(calls, 3);
  EXPECT_EQ(inner->depth(name).total(), 0u);
}

}  // namespace
}  // namespace bale::collect
