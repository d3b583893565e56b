// Events into batches: merging, limits, filters. (A9; DA8: newest sequencer wins; DA15: batches by size and time.)
#include <gtest/gtest.h>

#include "jobs/collect/collector.hpp"

namespace bale::collect {
namespace {

config::Source source_of(const std::string& bucket, const std::string& prefix = "", const std::string& suffix = "") {
  config::Source source;
  source.bucket = BucketName(bucket);
  source.prefix = prefix;
  source.suffix = suffix;
  return source;
}

store::ObjectEvent event(const std::string& key, const std::string& sequencer, ByteCount size = 10,
                         bool deleted = false) {
  return {BucketName("b"),       ObjectKey(key), deleted,   size,
          ETag("e" + sequencer), VersionId(),    sequencer, from_epoch_ms(1)};
}

queue::Message message(const std::string& id) { return {id, Receipt("r" + id), "", 1, {}}; }

TEST(BatchBuilder, MergesEventsOfOneKeyAndTheNewestWins) {
  const config::Source source = source_of("b");
  BatchBuilder builder(source);
  EXPECT_TRUE(builder.add(message("1"), {event("k", "02", 20)}));
  EXPECT_TRUE(builder.add(message("2"), {event("k", "01", 99)}));
  EXPECT_TRUE(builder.add(message("3"), {event("k", "03", 30), event("other", "01", 5)}));
  const Batch batch = builder.take();
  ASSERT_EQ(batch.items.size(), 2U);
  EXPECT_EQ(batch.items[0].event.sequencer, "03");
  EXPECT_EQ(batch.items[0].messages, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(batch.items[1].messages, (std::vector<std::size_t>{2}));
  EXPECT_EQ(batch.bytes, 35U);
  EXPECT_EQ(batch.messages.size(), 3U);
}

TEST(BatchBuilder, IgnoresOtherPrefixesSuffixesAndDeletions) {
  const config::Source source = source_of("b", "logs", ".gz");
  BatchBuilder builder(source);
  EXPECT_FALSE(builder.add(message("2"), {event("logs-x/a.gz", "01")}));  // DA19: `logs` is not `logs-x`
  EXPECT_FALSE(builder.add(message("3"), {event("logs/a.txt", "01")}));
  EXPECT_FALSE(builder.add(message("4"), {event("logs/a.gz", "02", 0, true)}));
  EXPECT_TRUE(builder.add(message("5"), {event("logs/a.gz", "01")}));
  EXPECT_TRUE(builder.empty() == false && builder.take().items.size() == 1);
}

TEST(BatchBuilder, KeepsTheMessageOfAnotherBucketToBeRefusedWithoutCountingItsBytes) {
  const config::Source source = source_of("b", "logs", ".gz");
  BatchBuilder builder(source);
  store::ObjectEvent elsewhere = event("x", "01", 1ULL << 40, true);
  elsewhere.bucket = BucketName("c");
  EXPECT_TRUE(builder.add(message("1"), {elsewhere}));
  EXPECT_TRUE(builder.add(message("2"), {event("logs/a.gz", "01", 7)}));
  const Batch batch = builder.take();
  ASSERT_EQ(batch.items.size(), 2U);
  EXPECT_EQ(batch.items[0].event.bucket, BucketName("c"));
  EXPECT_EQ(batch.bytes, 7U);
}

TEST(BatchBuilder, IsFullWhenItsDescriptionsTakeTheMemoryThatTheyMay) {
  config::Source source = source_of("b");
  source.batch.max_objects = 1'000'000;
  for (const std::size_t key_bytes : {20U, 1000U}) {
    BatchBuilder builder(source, Versions::newest, 1 << 20);
    std::size_t objects = 0;
    while (!builder.is_full() && objects < 10'000) {
      const std::string key = std::to_string(objects++);
      builder.add(message(key), {event(key + std::string(key_bytes, 'k'), "01")});
    }
    const Batch batch = builder.take();
    EXPECT_GE(batch.memory, 1U << 20);
    EXPECT_LT(batch.memory, (1U << 20) + 20'000);
    EXPECT_GT(objects, 100U);
    EXPECT_LT(objects * (6 * key_bytes + 1536), (1U << 20) + 20'000);
  }
}

TEST(BatchBuilder, KeepsNoBodies) {
  const config::Source source = source_of("b");
  BatchBuilder builder(source);
  queue::Message large = message("1");
  large.body = std::string(100'000, 'x');
  builder.add(large, {event("k", "01")});
  const Batch batch = builder.take();
  EXPECT_TRUE(batch.messages.at(0).body.empty());
  EXPECT_EQ(batch.messages.at(0).receipt, Receipt("r1"));
}

TEST(BatchBuilder, TakesDeletionsWhereTheyAreTracked) {
  config::Source source = source_of("b");
  source.track_deletes = true;
  BatchBuilder builder(source);
  builder.add(message("1"), {event("k", "01")});
  builder.add(message("2"), {event("k", "02", 0, true)});
  EXPECT_TRUE(builder.take().items.at(0).event.deleted);
}

store::ObjectEvent version(const std::string& key, const std::string& id, bool deleted = false) {
  store::ObjectEvent made = event(key, id, 10, deleted);
  made.version_id = VersionId(id);
  return made;
}

TEST(BatchBuilder, WhereEachVersionIsKeptABatchHasOneOfAKeyWhateverTheirOrder) {
  config::Source source = source_of("b");
  source.track_deletes = true;
  const auto newer = version("k", "02"), older = version("k", "01"), marker = version("k", "03", true);
  for (const auto& first : {newer, older, marker}) {
    BatchBuilder builder(source, Versions::each);
    EXPECT_FALSE(builder.is_for_later({first})) << "the batch is empty";
    builder.add(message("1"), {first});
    for (const auto& other : {newer, older, marker})
      EXPECT_EQ(builder.is_for_later({other}), other.version_id != first.version_id);
    EXPECT_TRUE(builder.is_for_later({version("another", "01"), first.deleted ? older : marker}));
    EXPECT_FALSE(builder.is_for_later({version("another", "01")}));
    EXPECT_TRUE(builder.add(message("2"), {first})) << "an event may come twice";
    EXPECT_EQ(builder.take().items.size(), 1u);
  }
}

TEST(BatchBuilder, VersionsMergeWhereOnlyTheNewestIsWantedOrTheBucketHasNone) {
  config::Source source = source_of("b");
  BatchBuilder newest(source, Versions::newest);
  newest.add(message("1"), {version("k", "01")});
  EXPECT_FALSE(newest.is_for_later({version("k", "02")}));
  source.track_deletes = true;
  BatchBuilder unversioned(source, Versions::each);
  unversioned.add(message("1"), {event("k", "01")});
  EXPECT_FALSE(unversioned.is_for_later({event("k", "02")}));
  EXPECT_FALSE(unversioned.is_for_later({event("k", "03", 0, true)}));
}

TEST(BatchBuilder, WhatDoesNotConcernTheSourceWaitsForNoBatch) {
  const config::Source source = source_of("b");  // deletions are not tracked
  BatchBuilder builder(source, Versions::each);
  builder.add(message("1"), {version("k", "01")});
  EXPECT_FALSE(builder.is_for_later({version("k", "02", true)}));
}

TEST(BatchBuilder, VersionsOfOneMessageAreInDifferentRounds) {
  const config::Source source = source_of("b");
  BatchBuilder builder(source, Versions::each);
  EXPECT_FALSE(builder.is_for_later({version("k", "01"), version("k", "02")}));
  EXPECT_TRUE(
      builder.add(message("1"), {version("k", "02"), version("k", "01"), version("k", "02"), version("x", "1")}));
  EXPECT_TRUE(builder.is_for_later({version("k", "03")}));
  EXPECT_FALSE(builder.is_for_later({version("k", "01")})) << "the batch has it";
  const Batch batch = builder.take();
  ASSERT_EQ(batch.items.size(), 3U);
  EXPECT_EQ(batch.items[0].round, 0U);
  EXPECT_EQ(batch.items[1].round, 1U);
  EXPECT_EQ(batch.items[2].round, 0U);
  for (const BatchItem& item : batch.items) EXPECT_EQ(item.messages, (std::vector<std::size_t>{0}));
}

TEST(BatchBuilder, ABackfillAndAnEventOfOtherContentLeaveTheAnswerToTheSource) {
  const config::Source source = source_of("b");
  store::ObjectEvent listed = event("k", "", 20);
  listed.etag = ETag("listed");
  for (const bool backfill_first : {true, false}) {
    BatchBuilder builder(source);
    builder.add(message("1"), {backfill_first ? listed : version("k", "02")});
    builder.add(message("2"), {backfill_first ? version("k", "02") : listed});
    builder.add(message("3"), {version("k", "03")});
    const Batch batch = builder.take();
    ASSERT_EQ(batch.items.size(), 1U);
    EXPECT_EQ(batch.items[0].event.sequencer, "03");
    EXPECT_TRUE(batch.items[0].event.etag.empty());
    EXPECT_TRUE(batch.items[0].event.version_id.empty());
    EXPECT_FALSE(batch.items[0].event.ask_source) << "nothing was removed";
    EXPECT_EQ(batch.bytes, 0U);
  }
}

TEST(BatchBuilder, ABackfillAndADeletionLeaveTheAnswerToTheSource) {
  config::Source source = source_of("b");
  source.track_deletes = true;
  BatchBuilder builder(source, Versions::each);
  builder.add(message("1"), {event("k", "", 20)});
  builder.add(message("2"), {event("k", "02", 0, true)});
  const Batch batch = builder.take();
  ASSERT_EQ(batch.items.size(), 1U);
  EXPECT_TRUE(batch.items[0].event.ask_source);
  EXPECT_FALSE(batch.items[0].event.deleted);
}

TEST(BatchBuilder, IsFullByObjectsOrBytes) {
  config::Source source = source_of("b");
  source.batch.max_objects = 2;
  source.batch.max_bytes = 100;
  BatchBuilder by_objects(source);
  by_objects.add(message("1"), {event("a", "01", 1)});
  EXPECT_FALSE(by_objects.is_full());
  by_objects.add(message("2"), {event("b", "01", 1)});
  EXPECT_TRUE(by_objects.is_full());
  BatchBuilder by_bytes(source);
  by_bytes.add(message("1"), {event("a", "01", 100)});
  EXPECT_TRUE(by_bytes.is_full());
}

TEST(BatchBuilder, IsFullByMessagesWhenManySpeakOfOneKey) {
  config::Source source = source_of("b");
  source.batch.max_objects = 3;
  BatchBuilder builder(source);
  builder.add(message("1"), {event("a", "01", 1)});
  builder.add(message("2"), {event("a", "02", 1)});
  EXPECT_FALSE(builder.is_full());
  builder.add(message("3"), {event("a", "03", 1)});
  EXPECT_TRUE(builder.is_full());
  EXPECT_EQ(builder.take().items.size(), 1u);
}

TEST(RetryDelay, DoublesUpToTheTimeout) {
  using std::chrono::seconds;
  EXPECT_EQ(retry_delay(1, seconds(300)), seconds(1));
  EXPECT_EQ(retry_delay(2, seconds(300)), seconds(2));
  EXPECT_EQ(retry_delay(5, seconds(300)), seconds(16));
  EXPECT_EQ(retry_delay(40, seconds(300)), seconds(300));
  EXPECT_EQ(retry_delay(0, seconds(300)), seconds(1));
}

}  // namespace
}  // namespace bale::collect
