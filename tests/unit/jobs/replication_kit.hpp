// A source, staging and destinations on an embedded store, for tests of the jobs themselves.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "embedded/backend.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/land/lander.hpp"
#include "jobs/pack/packer.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "telemetry/log.hpp"

namespace bale::testing {

/// One region with all buckets; two stores that can be told to fail, as the source and as the target see it.
class ReplicationKit : public ::testing::Test {
 protected:
  ReplicationKit() {
    for (const BucketName& bucket : {src, outbound, inbound, copy, vault, catalog}) store->create_bucket(bucket);
    backend->records(region)->create_table(config::replication_table(settings),
                                           {{"id", records::KeyType::string}, std::nullopt});
  }

  void put(const std::string& key, const std::string& content, store::ObjectAttributes attributes = {}) {
    store::MemoryBody body(as_bytes(content));
    store->put({src, ObjectKey(key)}, body, attributes);
  }

  std::optional<std::string> read(const BucketName& bucket, const std::string& key) {
    const ObjectAddress address{bucket, ObjectKey(key)};
    if (!store->head(address)) return std::nullopt;
    const auto stream = store->get(address);
    return store::read_all(*stream, 1ULL << 30);
  }

  /// The item that an event of the object's present version would make.
  pack::Item item(const std::string& key, const std::string& sequencer = "01") {
    pack::Item made;
    made.key = ObjectKey(key);
    made.sequencer = sequencer;
    if (const auto info = store->head({src, made.key})) {
      made.size = info->size;
      made.etag = info->etag;
      made.time = info->last_modified;
    }
    return made;
  }

  pack::PackPlan plan(ByteCount frame_size = 64 << 10) {
    pack::PackPlan made;
    made.source_bucket = src;
    made.source_region = region;
    made.outbound_bucket = outbound;
    made.archive_prefix = "src-bucket/";
    made.targets = targets;
    made.level = 3;
    made.frame_size = frame_size;
    return made;
  }

  pack::PackResult pack(const std::vector<pack::Item>& items, ByteCount frame_size = 64 << 10) {
    pack::Packer packer(plan(frame_size), source, source, world, log, pools, budget);
    return packer.pack(items, {});
  }

  /// What the relay does, in one region.
  ObjectAddress bring_to_inbound(const ObjectKey& archive) {
    store->copy({{outbound, archive}, {}, {}}, {inbound, archive});
    return {inbound, archive};
  }

  /// One rule, from `src` to `targets` as they are now.
  config::ReplicationConfig configuration() const {
    config::ReplicationConfig made;
    made.settings = settings;
    config::Rule rule;
    rule.source.region = region;
    rule.source.bucket = src;
    for (const archive::Target& each : targets)
      rule.destinations.push_back({each.region, each.bucket, each.kms_key_arn, each.storage_class, each.backup});
    made.rules.push_back(rule);
    return made;
  }

  land::LandResult land(const ObjectAddress& archive) { return land(archive, configuration()); }
  land::LandResult land(const ObjectAddress& archive, const config::ReplicationConfig& config) {
    const auto records = backend->records(region);
    land::Lander lander(config, region, target, *records, world, log, pools, budget);
    return lander.land(archive, {});
  }

  std::vector<std::string> keys_in(const BucketName& bucket) {
    std::vector<std::string> keys;
    for (const store::ListedObject& object : store->list(bucket, {}).objects) keys.push_back(object.key.str());
    return keys;
  }
  std::size_t objects_in(const BucketName& bucket) { return store->list(bucket, {}).objects.size(); }

  const Region region{"eu-west-1"};
  const BucketName src{"src-bucket"}, outbound{"demo-000000000000-eu-west-1-outbound"},
      inbound{"demo-000000000000-eu-west-1-inbound"}, copy{"copy-bucket"}, vault{"vault-bucket"},
      catalog{"demo-000000000000-eu-west-1-catalog"};
  std::vector<archive::Target> targets{{region, copy, "", "", false}, {region, vault, "", "STANDARD_IA", true}};
  config::Settings settings = [] {
    config::Settings made;
    made.stack_name = "demo";
    return made;
  }();
  FakeWorld outside;
  os::World world = outside.world();
  telemetry::Log log{world, telemetry::Level::warning, telemetry::Format::text};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(region);
  FaultyStore source{*store}, target{*store};
  flow::ThreadPool connections{8, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{256ULL << 20};
};

}  // namespace bale::testing
