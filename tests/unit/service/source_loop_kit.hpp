// A source's loop over an embedded store, with queues and tables that fail when told to.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/reader.hpp"
#include "embedded/backend.hpp"
#include "service/replication.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"
#include "support/faulty_records.hpp"
#include "transfer/byte_io.hpp"

namespace bale::service {

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
    const Ports ports{[this](const Region&) -> store::ObjectStore& { return *seen_store; },
                      [this](const Region&) -> queue::MessageQueue& { return *seen_queues; },
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

  /// The manifests of all archives in the outbound bucket.
  std::vector<archive::Manifest> manifests() {
    std::vector<archive::Manifest> all;
    const BucketName outbound = config::outbound_bucket(config.settings, region);
    for (const store::ListedObject& object : store->list(outbound, {}).objects) {
      const auto source = transfer::open_object_source(*store, {outbound, object.key});
      all.push_back(archive::open_archive(*source)->manifest());
    }
    return all;
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
  store::ObjectStore* seen_store = store.get();  ///< by the loop
  testing::FaultyQueue faulty{*queues};
  queue::MessageQueue* seen_queues = &faulty;  ///< by the loop
  testing::FaultyRecords table{*records};
  std::optional<int> level = 1;
  double transfer_price = 0.02;
  flow::ThreadPool connections{4, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{256ULL << 20};
  std::stop_source stop;
};

}  // namespace bale::service
