// Every queue gets the events of every bucket, as with one EventBridge rule for all of them. Invariant: each service
// works on its own bucket alone; backups and destinations keep what they hold; an event of another bucket is in the
// dead-letter queue in the end, and what came with it is served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embedded/backend.hpp"
#include "service/replication.hpp"
#include "service/setup.hpp"
#include "store/events.hpp"
#include "support/fake_world.hpp"

namespace bale::service {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class ForeignEvents : public ::testing::Test {
 protected:
  ForeignEvents() {
    config.settings.stack_name = "demo";
    config::Rule rule;
    rule.source.region = region;
    rule.source.bucket = cats;
    rule.source.batch.max_wait = std::chrono::seconds(0);
    rule.source.visibility_timeout = std::chrono::seconds(1);
    rule.source.max_receive_count = 1;
    rule.source.track_deletes = true;
    rule.destinations = {{region, copies, {}, {}, false}, {region, vault, {}, {}, true}};
    config.rules.push_back(rule);
    set_up_replication(config, ports, world, false);
    queue_names = {config::source_queue(config.settings, rule.source), config::relay_queue(config.settings, region),
                   config::target_queue(config.settings, region)};
    put(cats, "a", "first");
    run();
  }

  void put(const BucketName& bucket, const std::string& key, const std::string& content) {
    store::MemoryBody body(as_bytes(content));
    store->put({bucket, ObjectKey(key)}, body, {});
  }
  void tell(const QueueName& queue, const std::vector<ObjectAddress>& objects) {
    std::vector<store::ObjectEvent> events;
    for (const ObjectAddress& object : objects) events.push_back({object.bucket, object.key, false, 1, {}, {}, {}, {}});
    queues->send(queue, {store::make_backfill_message(events, region)});
  }
  void run() {
    ReplicationOptions options;
    options.roles = {true, true, true};
    options.until_idle = true;
    options.level = 1;
    Replication replication(config, options, ports, world, log, pools, budget);
    replication.run();
    failures.clear();
    for (const ReplicationFailure& failure : replication.failures()) failures.emplace_back(failure.error.what());
  }
  std::map<std::string, ETag> contents(const BucketName& bucket) {
    std::map<std::string, ETag> found;
    for (const auto& object : store->list(bucket, {}).objects) found[object.key.str()] = object.etag;
    return found;
  }
  std::uint64_t dead(const QueueName& queue) { return queues->depth(config::dead_letter_queue(queue)).total(); }

  const Region region{"eu-west-1"};
  const BucketName cats{"cats"}, copies{"copies"}, vault{"vault"};
  config::ReplicationConfig config;
  testing::FakeWorld outside;
  os::World world{os::system_clock(), outside.entropy,  outside.environment,
                  *outside.files,     outside.terminal, outside.stop.get_token()};
  telemetry::Log log{world, telemetry::Level::warning, telemetry::Format::json};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(region);
  std::unique_ptr<queue::MessageQueue> queues = backend->queues(region);
  std::unique_ptr<records::RecordStore> records = backend->records(region);
  const Ports ports{[this](const Region&) -> store::ObjectStore& { return *store; },
                    [this](const Region&) -> queue::MessageQueue& { return *queues; },
                    [this](const Region&) -> records::RecordStore& { return *records; }};
  flow::ThreadPool connections{4, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{256ULL << 20};
  std::vector<QueueName> queue_names;  ///< of source, relay and target
  std::vector<std::string> failures;
};

TEST_F(ForeignEvents, OfTheBackupBucketLeaveTheBackup) {
  const auto backups = contents(vault);
  ASSERT_EQ(backups.size(), 1u);
  for (const QueueName& queue : queue_names) tell(queue, {{vault, ObjectKey(backups.begin()->first)}});
  run();
  EXPECT_EQ(contents(vault), backups);
  EXPECT_EQ(failures.size(), 3u);
  for (const QueueName& queue : queue_names) {
    EXPECT_EQ(dead(queue), 1u) << queue.str();
    EXPECT_THAT(failures, Contains(::testing::AllOf(HasSubstr(queue.str()), HasSubstr("s3://vault/"))));
  }
}

TEST_F(ForeignEvents, OfDestinationsAndOfNothingAreRefusedToo) {
  const auto copied = contents(copies), backups = contents(vault);
  for (const QueueName& queue : queue_names) {
    tell(queue, {{copies, ObjectKey("a")}});
    tell(queue, {{BucketName("nowhere"), ObjectKey("a")}});
  }
  run();
  EXPECT_EQ(contents(copies), copied);
  EXPECT_EQ(contents(vault), backups) << "nothing was packed";
  for (const QueueName& queue : queue_names) EXPECT_EQ(dead(queue), 2u) << queue.str();
}

TEST_F(ForeignEvents, LeaveTheObjectsOfTheirBatchAndOfTheirMessageAlone) {
  config.rules[0].source.batch.max_wait = std::chrono::seconds(1);
  put(cats, "b", "of the same batch");
  put(cats, "c", "of the same message");
  queues->purge(queue_names[0]);
  tell(queue_names[0], {{cats, ObjectKey("b")}});
  tell(queue_names[0], {{vault, ObjectKey("x")}, {cats, ObjectKey("c")}});
  run();
  EXPECT_TRUE(contents(copies).contains("b"));
  EXPECT_TRUE(contents(copies).contains("c"));
  EXPECT_EQ(dead(queue_names[0]), 1u);
  EXPECT_EQ(queues->depth(queue_names[0]).total(), 0u);
}

}  // namespace
}  // namespace bale::service
