// A source's loop when something breaks that concerns no object: nothing that was received is held for ever.
#include <atomic>
#include <new>

#include "compression/statistics_item.hpp"
#include "support/last_moment.hpp"
#include "unit/service/source_loop_kit.hpp"

namespace bale::service {
namespace {

TEST_F(SourceLoopTest, GivesBackABatchThatBrokeAndTheOneGatheredMeanwhile) {
  put("a");
  std::atomic<bool> broke{false};
  faulty.before_remove = [&] {
    if (broke.exchange(true)) return;
    put("b");
    for (int i = 0; i < 1000 && queues->depth(queue).in_flight < 2; ++i)
      os::system_clock().sleep_for(Milliseconds(10), {});
    throw std::bad_alloc();  // when "a" is settled, and "b" was received
  };
  run();
  EXPECT_EQ(queues->depth(queue).total(), 0u) << outside.terminal.errors();
  EXPECT_THAT(outside.terminal.errors(), ::testing::HasSubstr("source.loop"));
}

TEST_F(SourceLoopTest, GivesBackABatchThatBrokeWhenItWasToStop) {
  put("a");
  faulty.before_remove = [&] {
    stop.request_stop();
    throw std::bad_alloc();
  };
  run();
  EXPECT_EQ(queues->depth(queue).visible, 1u) << outside.terminal.errors();
}

TEST_F(SourceLoopTest, AMessageOfTheLastMomentIsPackedWhenIdleEndsTheLoop) {
  testing::LastMoment late(*queues, [this] { put("late"); });
  seen_queues = &late;
  run();
  EXPECT_TRUE(late.brought());
  EXPECT_EQ(queues->depth(queue).in_flight, 0u);
  EXPECT_EQ(queues->depth(queue).visible + manifests().size(), 1u) << outside.terminal.errors();
}

TEST_F(SourceLoopTest, AMessageOfTheLastMomentIsGivenBackWhenASignalEndsTheLoop) {
  testing::LastMoment late(*queues, [this] { put("late"); });
  seen_queues = &late;
  const std::jthread stopper([this] {
    os::system_clock().sleep_for(Milliseconds(300), {});
    stop.request_stop();
  });
  run({}, false);
  EXPECT_TRUE(late.brought());
  EXPECT_EQ(queues->depth(queue).visible, 1u) << outside.terminal.errors();
}

/// Many versions of one object wait.
class VersionsTest : public SourceLoopTest {
 protected:
  VersionsTest() {
    config.rules[0].source.batch.max_objects = 100;
    store->set_versioning(BucketName("cats"), store::Versioning::enabled);
    for (int i = 0; i < 20; ++i) put("a");
  }
  std::size_t archives() { return store->list(config::outbound_bucket(config.settings, region), {}).objects.size(); }
};

TEST_F(VersionsTest, ABackupGetsEachOfThem) {
  config.rules[0].destinations.push_back({region, BucketName("backup"), {}, {}, true});
  run();
  EXPECT_EQ(archives(), 20u);
  EXPECT_EQ(queues->depth(queue).total(), 0u);
}

TEST_F(VersionsTest, WithoutABackupTheNewestIsEnough) {
  run();
  EXPECT_LT(archives(), 10u);
  EXPECT_EQ(queues->depth(queue).total(), 0u);
}

TEST_F(VersionsTest, WhatWaitsForALaterBatchIsGivenBackWhenItStops) {
  config.rules[0].destinations.push_back({region, BucketName("backup"), {}, {}, true});
  faulty.before_remove = [&] { stop.request_stop(); };
  run();
  EXPECT_EQ(queues->depth(queue).in_flight, 0u);
  EXPECT_GT(queues->depth(queue).visible, 0u);
}

TEST_F(SourceLoopTest, TellsCloudWatchWhileItRuns) {
  put("a");
  bool told_while_running = false;
  const auto write = [&](const std::string& line) {
    if (line.find("\"ObjectsProcessed\":1.0") == std::string::npos) return;
    told_while_running = !stop.stop_requested();
    stop.request_stop();
  };
  run(EmfOptions{"stack", write, std::chrono::seconds(1)}, false);
  EXPECT_TRUE(told_while_running);
}

/// Levels by money: to a region far away, with a table that is shared with other tasks.
class LearningTest : public SourceLoopTest {
 protected:
  LearningTest() {
    level.reset();
    config.rules[0].destinations[0].region = Region("us-east-1");
    config.rules[0].source.batch.max_objects = 1000;
    for (int i = 0; i < 20; ++i) {
      std::string text;
      while (text.size() < 20'000) text += "line " + std::to_string(i * 7919 + text.size()) + " of a log\n";
      store::MemoryBody body(as_bytes(text));
      store->put({BucketName("cats"), ObjectKey("f" + std::to_string(i) + ".log")}, body, {});
    }
  }
  void make_table() {
    records->create_table(config::levels_table(config.settings), {{"BucketPrefix", records::KeyType::string}, {}});
  }
  /// The level of the archive's manifest, -1 where there is not one archive.
  int packed_level() {
    const BucketName outbound = config::outbound_bucket(config.settings, region);
    const auto listed = store->list(outbound, {});
    if (listed.objects.size() != 1) return -1;
    const auto source = transfer::open_object_source(*store, {outbound, listed.objects[0].key});
    return archive::open_archive(*source)->manifest().level;
  }
};

TEST_F(LearningTest, WhatComesOfABatchIsKeptForAllTasks) {
  make_table();
  run();
  EXPECT_EQ(queues->depth(queue).total(), 0u);
  const auto item = records->get(config::levels_table(config.settings), compression::key_item("cats/"));
  ASSERT_TRUE(item) << outside.terminal.errors();
  EXPECT_TRUE(item->contains("LevelStats"));
  EXPECT_GT(packed_level(), 0);
}

TEST_F(LearningTest, ATableThatCannotBeReachedKeepsNothingBack) {
  make_table();
  table.faults.arm("get", "compression", Error(ErrorKind::unavailable, "no answer"), 1);
  run();
  EXPECT_EQ(queues->depth(queue).total(), 0u);
  EXPECT_GT(packed_level(), 0);
  EXPECT_THAT(outside.terminal.errors(), ::testing::HasSubstr("levels.table"));
}

TEST_F(LearningTest, AMissingTableKeepsNothingBack) {
  run();
  EXPECT_EQ(queues->depth(queue).total(), 0u);
  EXPECT_GT(packed_level(), 0);
}

TEST_F(LearningTest, WhereTransferIsFreeNothingIsCompressed) {
  make_table();
  transfer_price = 1e-9;
  run();
  EXPECT_EQ(packed_level(), 0);
}

TEST_F(LearningTest, WithoutTransferThereIsNothingToSaveAndTheDefaultHolds) {
  config.rules[0].destinations[0].region = region;
  run();
  EXPECT_EQ(packed_level(), archive::default_level);
}

TEST_F(LearningTest, ALevelThatIsConfiguredHolds) {
  config.rules[0].source.level = 5;
  run();
  EXPECT_EQ(packed_level(), 5);
}

}  // namespace
}  // namespace bale::service
