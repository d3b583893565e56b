// Archives at their destinations: nothing is removed before all is durable, nothing newer is overwritten. (DA1, DA2,
// DA6, DA8)
#include "base/hash.hpp"
#include "catalog/scan.hpp"
#include "support/foreign_archive.hpp"
#include "support/odd_store.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

class Land : public ReplicationKit {
 protected:
  ObjectAddress packed(const std::vector<pack::Item>& items, ByteCount frame_size = 64 << 10) {
    const pack::PackResult result = pack(items, frame_size);
    outside.clock.advance(Milliseconds(1));  // archives of different moments have different names
    return bring_to_inbound(result.archives.at(0).key);
  }

  std::vector<catalog::Record> catalog_records() {
    std::vector<catalog::Record> records;
    catalog::scan(
        *store, catalog, "", connections, [&](catalog::Record record) { records.push_back(std::move(record)); },
        [](const catalog::DamagedFile& file) { ADD_FAILURE() << file.error.what(); });
    return records;
  }
};

TEST_F(Land, BringsObjectsBackupAndCatalogAndRemovesTheStagingObjectLast) {
  store::ObjectAttributes attributes;
  attributes.headers.content_type = "text/plain";
  attributes.metadata = {{"who", "me"}};
  attributes.tags = {{"a", "b"}};
  put("x/a.txt", "hello", attributes);
  put("x/empty", "");
  const ObjectAddress archive = packed({item("x/a.txt"), item("x/empty")});
  const land::LandResult result = land(archive);
  EXPECT_TRUE(result.failures.empty());
  EXPECT_EQ(result.objects_written, 2U);
  EXPECT_EQ(result.backup_buckets.size(), 1U);
  EXPECT_EQ(read(copy, "x/a.txt"), "hello");
  EXPECT_EQ(read(copy, "x/empty"), "");
  const auto info = store->head({copy, ObjectKey("x/a.txt")});
  EXPECT_EQ(info->headers.content_type, "text/plain");
  EXPECT_EQ(info->metadata.at("who"), "me");
  const store::Tags tags = store->get_tags({copy, ObjectKey("x/a.txt")});
  EXPECT_EQ(tags.at("a"), "b");
  EXPECT_TRUE(tags.contains("OriginalETag"));
  EXPECT_FALSE(store->head(archive).has_value());
  const auto backup = store->head({vault, archive.key});
  ASSERT_TRUE(backup.has_value());
  EXPECT_EQ(backup->storage_class, "STANDARD_IA");  // DA7
  const auto records = catalog_records();
  ASSERT_EQ(records.size(), 2U);
  for (const catalog::Record& record : records) {
    EXPECT_EQ(record.archive_bucket, vault);
    EXPECT_EQ(record.archive_key, archive.key);
    EXPECT_EQ(record.archive_etag, backup->etag);
    EXPECT_TRUE(record.location.has_value());
  }
}

/// The published version of S3 Cross-Region Compressor says the folder of an object where its backup mode says the
/// monitored prefix.
TEST_F(Land, AnArchiveOfThePublishedCompressorLandsUnderTheKeysOfItsSource) {
  const std::string manifest =
      R"({"targets": [{"region": "eu-west-1", "bucket": "copy-bucket"},
                      {"region": "eu-west-1", "bucket": "vault-bucket", "backup": true}],
          "objects": [
            {"source_bucket": "src-bucket", "source_prefix": "docs/deep/er", "object_name": "x.bin", "size": 1,
             "relative_key": "docs/deep/er/x.bin", "creation_time": "2025-01-23 09:05:07", "etag": "e"},
            {"source_bucket": "src-bucket", "source_prefix": "a/a", "object_name": "a", "size": 1,
             "relative_key": "a/a/a", "creation_time": "2025-01-23 09:05:07", "etag": "e"}]})";
  const std::string bytes = test::frames_of(
      test::tar_of({{"objects/docs/deep/er/x.bin", "x"}, {"objects/a/a/a", "a"}, {"manifest.json", manifest}}));
  const ObjectAddress archive{inbound, ObjectKey("src-bucket/0123abc.tar.zst")};
  store::MemoryBody body(as_bytes(bytes));
  store->put(archive, body, {});
  EXPECT_TRUE(land(archive).failures.empty());
  EXPECT_EQ(read(copy, "docs/deep/er/x.bin"), "x");
  EXPECT_EQ(read(copy, "a/a/a"), "a");
  EXPECT_EQ(objects_in(copy), 2U);
  std::set<std::string> rows;
  for (const catalog::Record& record : catalog_records())
    rows.insert(record.source_prefix + "|" + record.object_path.str() + "|" + record.object_name);
  EXPECT_EQ(rows, (std::set<std::string>{"|docs/deep/er/x.bin|x.bin", "|a/a/a|a"}));
}

TEST_F(Land, NothingIsDecompressedForBackupsAlone) {  // DA10
  targets = {{region, vault, "", "", true}};
  std::string noise(2 << 20, '\0');
  outside.entropy.fill({reinterpret_cast<std::byte*>(noise.data()), noise.size()});
  put("x/noise", noise);
  const land::LandResult result = land(packed({item("x/noise")}));
  EXPECT_EQ(result.backup_buckets.size(), 1U);
  EXPECT_TRUE(result.failures.empty());
  EXPECT_EQ(catalog_records().size(), 1U);
  EXPECT_EQ(target.faults.calls("get"), 1) << "the tail, which says all that the catalog needs";
}

TEST_F(Land, AFailedBackupKeepsTheStagingObject) {  // DA1
  put("a", "1");
  const ObjectAddress archive = packed({item("a")});
  target.arm("copy", "backup_", Error(ErrorKind::unavailable, "no route"));
  EXPECT_EQ(land(archive).failures.size(), 1U);
  EXPECT_TRUE(store->head(archive).has_value());
  EXPECT_TRUE(land(archive).failures.empty());
  EXPECT_FALSE(store->head(archive).has_value());
  EXPECT_EQ(catalog_records().size(), 1U);
}

TEST_F(Land, AFailedObjectKeepsTheStagingObjectAndTheOthersLand) {  // DA2
  put("a", "1");
  put("b", "2");
  const ObjectAddress archive = packed({item("a"), item("b")});
  target.arm("put", "b", Error(ErrorKind::denied, "access denied"));
  const land::LandResult result = land(archive);
  ASSERT_EQ(result.failures.size(), 1U);
  EXPECT_EQ(result.failures[0].what, "s3://copy-bucket/b");
  EXPECT_EQ(read(copy, "a"), "1");
  EXPECT_TRUE(store->head(archive).has_value());
  EXPECT_TRUE(land(archive).failures.empty());
  EXPECT_EQ(read(copy, "b"), "2");
  EXPECT_FALSE(store->head(archive).has_value());
}

TEST_F(Land, AFailedCatalogFileKeepsTheStagingObject) {  // DA17
  put("a", "1");
  const ObjectAddress archive = packed({item("a")});
  target.arm("put", ".jsonl", Error(ErrorKind::unavailable, "disk full"));
  EXPECT_EQ(land(archive).failures.size(), 1U);
  EXPECT_TRUE(store->head(archive).has_value());
  EXPECT_TRUE(land(archive).failures.empty());
  EXPECT_EQ(catalog_records().size(), 1U);
}

TEST_F(Land, ALostAnswerDoesNotLandTwice) {
  put("a", "1");
  const ObjectAddress archive = packed({item("a")});
  target.arm("put", "a", Error(ErrorKind::timeout, "no answer"), 1, /*after=*/true);
  EXPECT_EQ(land(archive).failures.size(), 1U);
  const land::LandResult again = land(archive);
  EXPECT_EQ(again.objects_kept, 1U);
  EXPECT_TRUE(again.failures.empty());
  EXPECT_FALSE(land(archive).was_there);
}

TEST_F(Land, AnOlderVersionNeverOverwritesANewerOne) {  // DA8
  put("a", "old");
  const ObjectAddress older = packed({item("a", "01")});
  put("a", "new");
  const ObjectAddress newer = packed({item("a", "02")});
  EXPECT_EQ(land(newer).objects_written, 1U);
  EXPECT_EQ(land(older).objects_kept, 1U);
  EXPECT_EQ(read(copy, "a"), "new");
  put("a", "newest");
  EXPECT_EQ(land(packed({item("a", "03")})).objects_written, 1U);
  EXPECT_EQ(read(copy, "a"), "newest");
}

TEST_F(Land, AnOlderVersionNeverOverwritesANewerOneWhoseMetadataIsFull) {
  store::ObjectAttributes full;
  full.metadata = {{"m", std::string(2047, 'x')}};
  for (int i = 0; i < 10; ++i) full.tags["t" + std::to_string(i)] = "v";
  put("a", "old", full);
  const ObjectAddress older = packed({item("a", "01")});
  put("a", "new", full);
  const ObjectAddress newer = packed({item("a", "02")});
  EXPECT_EQ(land(newer).objects_written, 1U);
  EXPECT_EQ(land(older).objects_kept, 1U);
  EXPECT_EQ(read(copy, "a"), "new");
  EXPECT_EQ(store->head({copy, ObjectKey("a")})->metadata, full.metadata);
  EXPECT_EQ(store->get_tags({copy, ObjectKey("a")}), full.tags);
}

TEST_F(Land, AWriterInBetweenIsNoticed) {
  put("a", "old");
  const ObjectAddress older = packed({item("a", "01")});
  put("a", "new");
  const ObjectAddress newer = packed({item("a", "02")});
  bool done = false;
  target.before = [&](const std::string& method, const std::string& key) {
    if (method != "put" || key != "a" || std::exchange(done, true)) return;
    const auto records = backend->records(region);
    const config::ReplicationConfig config = configuration();
    land::Lander other(config, region, *store, *records, world, log, pools, budget);
    EXPECT_EQ(other.land(newer, {}).objects_written, 1U);
  };
  EXPECT_EQ(land(older).objects_kept, 1U);
  EXPECT_EQ(read(copy, "a"), "new");
}

TEST_F(Land, ObjectsThatSpanFramesLandWhole) {
  std::string content;
  for (int i = 0; content.size() < (40 << 20); ++i) content += to_hex_digest(Sha256::of(as_bytes(std::to_string(i))));
  put("large", content);
  put("medium", content.substr(0, 3 << 20));
  put("small", "s");
  const ObjectAddress archive = packed({item("large"), item("medium"), item("small")}, 1 << 20);
  const land::LandResult result = land(archive);
  EXPECT_TRUE(result.failures.empty());
  EXPECT_TRUE(read(copy, "large") == content);
  EXPECT_TRUE(read(copy, "medium") == content.substr(0, 3 << 20));
  EXPECT_TRUE(store->list_uploads(copy).empty());
}

TEST_F(Land, TheDigestOfACheckedObjectIsNotComputedAgain) {
  targets.pop_back();
  const std::map<std::string, std::string> contents{{"a/small", "hello"},
                                                    {"b/spans-frames", std::string(200 << 10, 'x')}};
  std::vector<pack::Item> items;
  for (const auto& [key, content] : contents) {
    put(key, content);
    items.push_back(item(key));
  }
  const ObjectAddress archive = packed(items);
  OddStore odd(target);
  std::mutex mutex;
  std::set<std::string> seen;
  odd.put_ = [&](const ObjectAddress& to, store::Body& body, const auto& attributes, const auto& conditions) {
    if (to.bucket == copy) {
      const std::scoped_lock lock(mutex);
      seen.insert(to.key.str());
      EXPECT_EQ(body.digests().sha256, Sha256::of(as_bytes(contents.at(to.key.str()))));
      EXPECT_FALSE(body.digests().response_is_compared);
    }
    return target.put(to, body, attributes, conditions);
  };
  const auto records = backend->records(region);
  const config::ReplicationConfig config = configuration();
  land::Lander lander(config, region, odd, *records, world, log, pools, budget);
  EXPECT_TRUE(lander.land(archive, {}).failures.empty());
  EXPECT_EQ(seen, (std::set<std::string>{"a/small", "b/spans-frames"}));
  for (const auto& [key, content] : contents) EXPECT_EQ(read(copy, key), content);
}

TEST_F(Land, AFailedPartAbortsTheUploadAndKeepsTheStagingObject) {
  put("large", std::string(40 << 20, 'x'));
  const ObjectAddress archive = packed({item("large")}, 1 << 20);
  target.arm("upload_part", "large", Error(ErrorKind::unavailable, "cut"));
  EXPECT_EQ(land(archive).failures.size(), 1U);
  EXPECT_TRUE(store->list_uploads(copy).empty());
  EXPECT_TRUE(store->head(archive).has_value());
  EXPECT_FALSE(store->head({copy, ObjectKey("large")}).has_value());
}

TEST_F(Land, DamageIsNamedAndTheOtherObjectsLand) {
  std::vector<pack::Item> items;
  for (int i = 0; i < 8; ++i) {
    std::string content;
    for (int n = 0; n < 600; ++n) content += to_hex_digest(Sha256::of(as_bytes(std::to_string(i * 1000 + n))));
    put("o" + std::to_string(i), content);
    items.push_back(item("o" + std::to_string(i)));
  }
  const ObjectAddress archive = packed(items);
  std::string bytes = *read(inbound, archive.key.str());
  bytes[2000] = static_cast<char>(bytes[2000] ^ 0x40);  // in the first frame
  store::MemoryBody body(as_bytes(bytes));
  store->put(archive, body, {});
  const land::LandResult result = land(archive);
  ASSERT_FALSE(result.failures.empty());
  EXPECT_LT(result.failures.size(), 8U);
  EXPECT_EQ(result.failures[0].error.kind(), ErrorKind::corrupt);
  EXPECT_EQ(result.objects_written + result.failures.size(), 8U);
  EXPECT_TRUE(store->head(archive).has_value());
}

TEST_F(Land, AMissingArchiveHasLandedBefore) {
  EXPECT_FALSE(land({inbound, ObjectKey("src-bucket/x.tar.zst")}).was_there);
}

}  // namespace
}  // namespace bale::testing
