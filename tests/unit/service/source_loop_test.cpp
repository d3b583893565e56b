// A source's loop when something breaks that concerns no object: nothing that was received is held for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <new>

#include "archive/reader.hpp"
#include "compression/statistics_item.hpp"
#include "embedded/backend.hpp"
#include "service/replication.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"
#include "support/faulty_records.hpp"
#include "transfer/byte_io.hpp"

namespace bale::service {
namespace {

class SourceLoopTest : public ::testing::Test {
 protected:
  SourceLoopTest() {
    config.settings.stack_name = "demo";
    config::Rule rule;
    rule.source.region = region;
    rule.source.bucket = BucketName("cats");
    rule.source.visibility_timeout = std::chrono::seconds(600);  // what is not given back does not come in time
    rule.source.batch = {.max_objects = 1, .max_wait = std::chrono::seconds(1)};
    rule.destinations.push_back({region, BucketName("copies"), {}, {}, false});
    config.rules.push_back(rule);
    queue = config::source_queue(config.settings, rule.source);
    queues->create(queue, {.visibility_timeout = rule.source.visibility_timeout});
    store->create_bucket(rule.source.bucket);
    store->create_bucket(config::outbound_bucket(config.settings, region));
    store->set_notifications(rule.source.bucket, {{"id", queue.str(), {"s3:ObjectCreated:*"}, "", ""}});
    queues->purge(queue);  // of the test event
  }

  void put(const std::string& key) {
    store::MemoryBody body(as_bytes(key));
    store->put({BucketName("cats"), ObjectKey(key)}, body, {});
  }

  /// Works the queue empty, or gives up after a minute.
  void run() { run({}, true); }

  void run(std::optional<EmfOptions> emf, bool until_idle) {
    const Ports ports{[this](const Region&) -> store::ObjectStore& { return *store; },
                      [this](const Region&) -> queue::MessageQueue& { return faulty; },
                      [this](const Region&) -> records::RecordStore& { return table; }};
    ReplicationOptions options;
    options.roles.source = true;
    options.until_idle = until_idle;
    options.emf = std::move(emf);
    options.level = level;
    options.levels.prices.transfer_per_gib = transfer_price;
    os::World stoppable{world.clock, world.entropy, world.environment, world.files, world.terminal, stop.get_token()};
    Replication replication(config, options, ports, stoppable, log, pools, budget);
    const std::jthread stopper([&](const std::stop_token& done) {
      if (os::system_clock().sleep_for(std::chrono::minutes(1), done)) stop.request_stop();
    });
    replication.run();
  }

  const Region region{"eu-west-1"};
  QueueName queue;
  config::ReplicationConfig config;
  testing::FakeWorld outside;
  os::World world{os::system_clock(), outside.entropy,  outside.environment,
                  *outside.files,     outside.terminal, outside.stop.get_token()};
  telemetry::Log log{world, telemetry::Level::warning, telemetry::Format::json};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(region);
  std::unique_ptr<queue::MessageQueue> queues = backend->queues(region);
  std::unique_ptr<records::RecordStore> records = backend->records(region);
  testing::FaultyQueue faulty{*queues};
  testing::FaultyRecords table{*records};
  std::optional<int> level = 1;
  double transfer_price = 0.02;
  flow::ThreadPool connections{4, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{256ULL << 20};
  std::stop_source stop;
};

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
