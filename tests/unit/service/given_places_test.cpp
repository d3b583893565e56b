// Source and target services whose places are given one by one, as by the environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embedded/backend.hpp"
#include "service/replication.hpp"
#include "support/fake_world.hpp"

namespace bale::service {
namespace {

class GivenPlacesTest : public ::testing::Test {
 protected:
  GivenPlacesTest() {
    records->create_table(TableName("parameters"), {{"ParameterName", records::KeyType::string}, std::nullopt});
    records->create_table(TableName("stack-replication"), {{"id", records::KeyType::string}, std::nullopt});
    for (const char* queue : {"events", "arrivals"}) queues->create(QueueName(queue), {});
    for (const char* bucket : {"cats", "dogs", "birds", "out", "inbound", "copies", "vault", "books"})
      store->create_bucket(BucketName(bucket));
    for (const char* bucket : {"cats", "dogs", "birds"}) notify(bucket, "events");
    notify("inbound", "arrivals");
    add_parameter("/stack/cats");
    add_parameter("/stack/dogs");
  }

  void notify(const char* bucket, const char* queue) {
    store->set_notifications(BucketName(bucket), {{"id", queue, {"s3:ObjectCreated:*"}, "", ""}});
  }
  void add_parameter(const std::string& name) {
    using records::List;
    using records::Map;
    records->put(TableName("parameters"),
                 {{"ParameterName", name},
                  {"Destinations", List{Map{{"region", region.str()}, {"bucket", "copies"}},
                                        Map{{"region", region.str()}, {"bucket", "vault"}, {"backup", true}}}}});
  }
  void put(const char* bucket, const char* key) {
    const std::string content = std::string("of ") + bucket;
    store::MemoryBody body(as_bytes(content));
    store->put({BucketName(bucket), ObjectKey(key)}, body, {});
  }

  void run(Roles roles, const std::string& catalog = "books") {
    config::ReplicationConfig config;
    config.settings.stack_name = "stack";
    config.settings.given = config::GivenPlaces{QueueName(roles.source ? "events" : "arrivals"), BucketName("out"),
                                                BucketName(catalog), TableName("parameters")};
    if (roles.target) config.settings.given->inbound = BucketName("inbound");
    config::Rule rule;
    rule.source.region = region;
    rule.source.batch.max_wait = std::chrono::seconds(0);
    if (roles.target) rule.destinations.push_back({.region = region});
    config.rules.push_back(rule);
    const Ports ports{[this](const Region&) -> store::ObjectStore& { return *store; },
                      [this](const Region&) -> queue::MessageQueue& { return *queues; },
                      [this](const Region&) -> records::RecordStore& { return *records; }};
    ReplicationOptions options;
    options.roles = roles;
    options.until_idle = true;
    options.level = 1;
    std::stop_source stop;
    os::World stoppable{world.clock, world.entropy, world.environment, world.files, world.terminal, stop.get_token()};
    Replication replication(config, options, ports, stoppable, log, pools, budget);
    // What cannot be packed comes back for ever: enough is seen when it has failed once.
    const std::jthread stopper([&](const std::stop_token& done) {
      while (!done.stop_requested() && replication.counts().failures == 0)
        std::this_thread::sleep_for(Milliseconds(20));
      stop.request_stop();
    });
    replication.run();
    failures = replication.failures();
  }

  /// As S3's own replication does.
  void bring_to_inbound() {
    for (const auto& object : keys("out"))
      store->copy({{BucketName("out"), ObjectKey(object)}, {}, {}}, {BucketName("inbound"), ObjectKey(object)});
  }
  std::vector<std::string> keys(const char* bucket) {
    std::vector<std::string> found;
    for (const auto& object : store->list(BucketName(bucket), {}).objects) found.push_back(object.key.str());
    return found;
  }

  const Region region{"eu-west-1"};
  testing::FakeWorld outside;
  os::World world{os::system_clock(), outside.entropy,  outside.environment,
                  *outside.files,     outside.terminal, outside.stop.get_token()};
  telemetry::Log log{world, telemetry::Level::warning, telemetry::Format::json};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(region);
  std::unique_ptr<queue::MessageQueue> queues = backend->queues(region);
  std::unique_ptr<records::RecordStore> records = backend->records(region);
  flow::ThreadPool connections{4, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{256ULL << 20};
  std::vector<ReplicationFailure> failures;
};

TEST_F(GivenPlacesTest, PackTheBucketsOfAQueueEachForItself) {
  put("cats", "same/key");
  put("dogs", "same/key");
  put("dogs", "other");
  run({.source = true});
  EXPECT_TRUE(failures.empty());
  EXPECT_THAT(keys("out"), ::testing::UnorderedElementsAre(::testing::StartsWith("cats/backup_"),
                                                           ::testing::StartsWith("dogs/backup_")));
  EXPECT_EQ(queues->depth(QueueName("events")).total(), 0u);
}

TEST_F(GivenPlacesTest, LandWithACatalogInTheBucketThatIsNamed) {
  put("cats", "same/key");
  run({.source = true});
  bring_to_inbound();
  run({.target = true});
  EXPECT_TRUE(failures.empty());
  EXPECT_THAT(keys("copies"), ::testing::ElementsAre("same/key"));
  EXPECT_THAT(keys("vault"), ::testing::ElementsAre(::testing::StartsWith("cats/backup_")));
  EXPECT_THAT(keys("books"), ::testing::ElementsAre(::testing::StartsWith("cats/")));
  EXPECT_THAT(keys("inbound"), ::testing::IsEmpty());
}

TEST_F(GivenPlacesTest, LandWithoutACatalogWhereNoneIsNamedAndSaySo) {
  put("cats", "same/key");
  run({.source = true});
  bring_to_inbound();
  run({.target = true}, "");
  EXPECT_THAT(keys("vault"), ::testing::SizeIs(1));
  EXPECT_THAT(keys("books"), ::testing::IsEmpty());
  EXPECT_THAT(outside.terminal.errors(), ::testing::HasSubstr("CATALOG_BUCKET_NAME"));
}

TEST_F(GivenPlacesTest, KeepTheMessagesOfABucketWithoutDestinations) {
  put("birds", "k");
  put("cats", "k");
  run({.source = true});
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].what, "s3://birds/k");
  EXPECT_THAT(failures[0].error.what(), ::testing::HasSubstr("/stack/birds"));
  EXPECT_THAT(keys("out"), ::testing::ElementsAre(::testing::StartsWith("cats/backup_")));
  EXPECT_EQ(queues->depth(QueueName("events")).total(), 1u);
}

}  // namespace
}  // namespace bale::service
