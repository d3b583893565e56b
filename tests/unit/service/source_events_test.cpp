// What a source's loop makes of the events that it gets: versions, removals, and messages that tell lies.
#include <nlohmann/json.hpp>

#include "base/sequencer_order.hpp"
#include "support/odd_store.hpp"
#include "unit/service/source_loop_kit.hpp"

namespace bale::service {
namespace {

using nlohmann::json;

class SourceEventsTest : public SourceLoopTest {
 protected:
  SourceEventsTest() {
    config::Source& source = config.rules[0].source;
    source.batch = {.max_objects = 100, .max_wait = std::chrono::seconds(1)};
    source.max_receive_count = 2;
    queues->create(dead, {});
    queues->create(queue,
                   {.visibility_timeout = source.visibility_timeout, .dead_letter = dead, .max_receive_count = 2});
  }

  json record(const std::string& key, const json& object = json::object(),
              const std::string& name = "ObjectCreated:Put") {
    json told = {{"key", key}, {"size", key.size()}, {"sequencer", "01"}};
    if (const auto info = store->head({cats, ObjectKey(key)})) told["eTag"] = info->etag.str();
    told.update(object);
    return {{"eventSource", "aws:s3"},
            {"eventName", name},
            {"eventTime", to_iso8601(world.clock.now())},
            {"s3", {{"bucket", {{"name", "cats"}}}, {"object", told}}}};
  }
  void send(const std::vector<json>& told) {
    ASSERT_FALSE(queues->send(queue, {json{{"Records", told}}.dump()}).at(0));
  }

  std::multiset<std::string> packed_keys() {
    std::multiset<std::string> keys;
    for (const archive::Manifest& manifest : manifests()) {
      for (const archive::ManifestObject& object : manifest.objects) keys.insert(object.key.str());
    }
    return keys;
  }

  const BucketName cats{"cats"};
  const QueueName dead{"dead"};
};

TEST_F(SourceEventsTest, AFalseSizeKeepsNothingBack) {
  for (const char* key : {"a", "b", "c", "d"}) put(key);
  queues->purge(queue);
  send({record("a")});
  send({record("b", {{"size", 1ULL << 62}})});
  send({record("c", {{"size", 5ULL << 40}})});
  send({record("d", {{"size", -1}})});
  run();
  EXPECT_EQ(packed_keys(), (std::multiset<std::string>{"a", "b", "c", "d"})) << outside.terminal.errors();
  EXPECT_EQ(queues->depth(dead).total(), 0u);
}

TEST_F(SourceEventsTest, APoisonedEventGoesToTheDeadLetterQueueAlone) {
  put("a");
  put("b");
  const std::vector<json> poisons = {
      record(std::string(10'000, 'k')), record("a", {{"sequencer", std::string(100'000, 'F')}}),
      record("a", {{"versionId", "no such version\r\n"}}), record("a", {{"eTag", std::string(5'000, 'e')}})};
  for (const json& poison : poisons) send({poison});
  run();
  EXPECT_EQ(packed_keys(), (std::multiset<std::string>{"a", "b"})) << outside.terminal.errors();
  EXPECT_EQ(queues->depth(dead).total(), poisons.size());
  EXPECT_EQ(queues->depth(queue).total(), 0u);
}

TEST_F(SourceEventsTest, WhatOneObjectDoesToAnArchiveTheOthersDoNotFeel) {
  for (int i = 0; i < 9; ++i) put("key" + std::to_string(i));
  testing::OddStore odd(*store);  // refuses whatever archive holds this object
  odd.put_ = [&](const ObjectAddress& object, store::Body& body, const auto& attributes, const auto& conditions) {
    std::string text;
    for (ByteView part = body.next(1 << 20); !part.empty(); part = body.next(1 << 20))
      text.append(reinterpret_cast<const char*>(part.data()), part.size());
    body.rewind();
    if (text.find("key5") != std::string::npos) throw Error(ErrorKind::invalid, "no such archive is taken");
    return store->put(object, body, attributes, conditions);
  };
  seen_store = &odd;
  level = 0;
  run();
  seen_store = store.get();
  EXPECT_EQ(packed_keys().size(), 8u) << outside.terminal.errors();
  EXPECT_EQ(packed_keys().count("key5"), 0u);
  EXPECT_EQ(queues->depth(dead).total(), 1u);
}

TEST_F(SourceEventsTest, ArchivesAreCutByTheSizesThatObjectsHave) {
  config.rules[0].source.batch.max_bytes = 3000;
  for (int i = 0; i < 6; ++i) {
    store::MemoryBody body(as_bytes(std::string(1000, static_cast<char>('a' + i))));
    store->put({cats, ObjectKey("k" + std::to_string(i))}, body, {});
  }
  queues->purge(queue);
  for (int i = 0; i < 6; ++i) send({record("k" + std::to_string(i), {{"size", 0}})});
  run();
  EXPECT_EQ(packed_keys().size(), 6u) << outside.terminal.errors();
  EXPECT_EQ(manifests().size(), 2u);
}

/// A bucket with versions, deletions tracked, and a backup.
class RemovedVersionsTest : public SourceEventsTest {
 protected:
  RemovedVersionsTest() {
    config.rules[0].source.track_deletes = true;
    config.rules[0].destinations.push_back({region, BucketName("backup"), {}, {}, true});
    store->set_versioning(cats, store::Versioning::enabled);
    store->set_notifications(cats, {{"id", queue.str(), {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}, "", ""}});
    queues->purge(queue);
  }
  VersionId put_version(const std::string& text) {
    store::MemoryBody body(as_bytes(text));
    return store->put({cats, key}, body, {}).version_id;
  }
  VersionId mark_deleted() { return store->remove({cats, key}).version_id; }
  void remove(const VersionId& version) { store->remove({cats, key}, version); }

  /// What the newest record of the key says, by sequencer: its version, or "deleted".
  std::string newest() {
    std::string sequencer, what;
    for (const archive::Manifest& manifest : manifests()) {
      for (const archive::ManifestObject& object : manifest.objects) {
        if (compare_sequencers(object.sequencer, sequencer) < 0) continue;
        sequencer = object.sequencer;
        what = object.version_id.str();
      }
      for (const archive::Deletion& deletion : manifest.deletions) {
        if (compare_sequencers(deletion.sequencer, sequencer) < 0) continue;
        sequencer = deletion.sequencer;
        what = "deleted";
      }
    }
    return what;
  }
  const ObjectKey key{"a"};
};

TEST_F(RemovedVersionsTest, ADeletionThatIsTakenBackIsNoticed) {
  const VersionId first = put_version("1");
  const VersionId marker = mark_deleted();
  run();
  EXPECT_EQ(newest(), "deleted");
  remove(marker);
  run();
  EXPECT_EQ(newest(), first.str()) << outside.terminal.errors();
  for (const archive::Manifest& manifest : manifests()) {
    for (const archive::ManifestObject& object : manifest.objects) {
      EXPECT_GT(object.current_since.value_or(TimePoint::max()), object.last_modified);
    }
  }
}

TEST_F(RemovedVersionsTest, ADeletionThatIsTakenBackBeforeAnythingIsPackedIsNoticedToo) {
  const VersionId first = put_version("1");
  remove(mark_deleted());
  run();
  EXPECT_EQ(newest(), first.str());
}

TEST_F(RemovedVersionsTest, AnOlderMarkerBeneathChangesNothing) {
  put_version("1");
  const VersionId marker = mark_deleted();
  const VersionId second = put_version("2");
  run();
  remove(marker);
  run();
  EXPECT_EQ(newest(), second.str());
}

TEST_F(RemovedVersionsTest, AnOlderVersionIsCurrentAgainWhenTheNewestIsRemoved) {
  const VersionId first = put_version("1"), second = put_version("2");
  run();
  EXPECT_EQ(newest(), second.str());
  remove(second);
  run();
  EXPECT_EQ(newest(), first.str());
}

TEST_F(RemovedVersionsTest, AKeyWhoseOnlyVersionIsRemovedIsDeleted) {
  const VersionId only = put_version("1");
  run();
  remove(only);
  run();
  EXPECT_EQ(newest(), "deleted");
}

TEST_F(RemovedVersionsTest, AMarkerOfTwoLeavesTheKeyDeleted) {
  put_version("1");
  const VersionId marker = mark_deleted();
  mark_deleted();
  run();
  remove(marker);
  run();
  EXPECT_EQ(newest(), "deleted");
}

TEST_F(RemovedVersionsTest, EveryVersionThatOneMessageSpeaksOfIsPacked) {
  const VersionId first = put_version("1"), second = put_version("2"), third = put_version("3");
  queues->purge(queue);
  std::vector<json> told;
  int number = 0;
  for (const VersionId& version : {second, first, third})
    told.push_back(record("a", {{"versionId", version.str()}, {"sequencer", "0" + std::to_string(++number)}}));
  send(told);
  run();
  EXPECT_EQ(packed_keys().count("a"), 3u) << outside.terminal.errors();
  EXPECT_EQ(manifests().size(), 3u);
  EXPECT_EQ(queues->depth(queue).total(), 0u);
}

TEST_F(RemovedVersionsTest, OneVersionThatFailsKeepsItsMessageAndTheOthersArePacked) {
  const VersionId first = put_version("1"), second = put_version("2");
  queues->purge(queue);
  send({record("a", {{"versionId", "nosuchversion"}, {"eTag", ""}}), record("a", {{"versionId", second.str()}}),
        record("a", {{"versionId", first.str()}})});
  run();
  EXPECT_EQ(packed_keys().count("a"), 2u) << outside.terminal.errors();
}

}  // namespace
}  // namespace bale::service
