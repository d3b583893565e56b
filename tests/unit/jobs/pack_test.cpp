// Batches into archives: what happens to each object when others fail. (DA3, DA8)
#include <fmt/format.h>

#include "archive/reader.hpp"
#include "support/archive_kit.hpp"
#include "transfer/byte_io.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

class Pack : public ReplicationKit {
 protected:
  archive::Manifest manifest_of(const ObjectKey& key) {
    const auto bytes = transfer::open_object_source(*store, {outbound, key});
    return archive::open_archive(*bytes)->manifest();
  }
};

TEST_F(Pack, ManifestTellsEverythingAboutAnObject) {
  store::ObjectAttributes attributes;
  attributes.headers.content_type = "text/plain";
  attributes.headers.cache_control = "no-cache";
  attributes.metadata = {{"who", "me"}};
  attributes.tags = {{"a", "b"}};
  attributes.storage_class = "STANDARD_IA";
  put("x/a.txt", "hello", attributes);
  const pack::PackResult result = pack({item("x/a.txt", "0A")});
  ASSERT_EQ(result.archives.size(), 1U);
  EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
  const archive::Manifest manifest = manifest_of(result.archives[0].key);
  ASSERT_EQ(manifest.objects.size(), 1U);
  const archive::ManifestObject& object = manifest.objects[0];
  EXPECT_EQ(object.key.str(), "x/a.txt");
  EXPECT_EQ(object.object_name, "a.txt");
  EXPECT_EQ(object.size, 5U);
  EXPECT_EQ(object.etag.str(), "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(object.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(object.headers, attributes.headers);
  EXPECT_EQ(object.metadata, attributes.metadata);
  EXPECT_EQ(object.tags, attributes.tags);
  EXPECT_EQ(object.storage_class, "STANDARD_IA");
  EXPECT_EQ(object.sequencer, "0A");
  EXPECT_EQ(manifest.targets, plan().targets);
}

TEST_F(Pack, AGoneObjectIsDoneAndTheOthersArePacked) {
  put("a", "1");
  pack::Item gone = item("gone");
  gone.size = 3;
  gone.etag = ETag("900150983cd24fb0d6963f7d28e17f72");
  const pack::PackResult result = pack({item("a"), gone});
  EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
  EXPECT_EQ(result.items[1].fate, pack::Fate::gone);
  EXPECT_EQ(manifest_of(result.archives.at(0).key).objects.size(), 1U);
}

TEST_F(Pack, ARefusedObjectFailsAloneWithItsReason) {
  put("a", "1");
  put("secret", "2");
  put("z", "3");
  source.arm("get", "secret", Error(ErrorKind::denied, "access denied").with_code("AccessDenied"));
  const pack::PackResult result = pack({item("a"), item("secret"), item("z")});
  EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
  EXPECT_EQ(result.items[1].fate, pack::Fate::failed);
  EXPECT_EQ(result.items[1].error->kind(), ErrorKind::denied);
  EXPECT_EQ(result.items[2].fate, pack::Fate::packed);
  EXPECT_EQ(manifest_of(result.archives.at(0).key).objects.size(), 2U);
}

TEST_F(Pack, AnObjectWithoutReadableTagsIsNotPackedWithoutThem) {
  store::ObjectAttributes tagged;
  tagged.tags = {{"a", "b"}};
  put("a", "1", tagged);
  source.arm("get_tags", "a", Error(ErrorKind::throttled, "slow down"));
  const pack::PackResult result = pack({item("a")});
  EXPECT_EQ(result.items[0].fate, pack::Fate::failed);
  EXPECT_TRUE(result.archives.empty());
}

TEST_F(Pack, AnArchivedObjectFailsAndSaysWhy) {
  store::ObjectAttributes glacier;
  glacier.storage_class = "GLACIER";
  put("cold", "1", glacier);
  const pack::PackResult result = pack({item("cold")});
  ASSERT_EQ(result.items[0].fate, pack::Fate::failed);
  EXPECT_EQ(result.items[0].error->code(), "InvalidObjectState");
}

TEST_F(Pack, AnObjectOverwrittenMeanwhileIsPackedAsItIsNow) {
  put("a", "old");
  put("b", "b");
  const std::vector<pack::Item> items{item("a"), item("b")};
  put("a", "new and longer");
  const pack::PackResult result = pack(items);
  EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
  ASSERT_EQ(result.archives.size(), 2U);
  const archive::Manifest second = manifest_of(result.archives[1].key);
  ASSERT_EQ(second.objects.size(), 1U);
  EXPECT_EQ(second.objects[0].size, 14U);
}

TEST_F(Pack, AnObjectThatNeverRestsComesBackLater) {
  put("a", "0");
  int writes = 0;
  source.before = [&](const std::string& method, const std::string&) {
    if (method == "get") put("a", std::string(static_cast<std::size_t>(++writes), 'x'));
  };
  const pack::PackResult result = pack({item("a")});
  ASSERT_EQ(result.items[0].fate, pack::Fate::failed);
  EXPECT_EQ(result.items[0].error->kind(), ErrorKind::unavailable);
  EXPECT_EQ(objects_in(outbound), 0U);
}

TEST_F(Pack, ALargeObjectThatFailsHalfwayDoesNotSpoilTheArchive) {
  put("a", "1");
  put("large", std::string(20 << 20, 'x'));
  source.arm("get", "large", Error(ErrorKind::unavailable, "cut"), 1);
  const pack::PackResult result = pack({item("a"), item("large")});
  EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
  EXPECT_EQ(result.items[1].fate, pack::Fate::failed);
  ASSERT_EQ(result.archives.size(), 1U);
  EXPECT_EQ(manifest_of(result.archives[0].key).objects.size(), 1U);
  EXPECT_TRUE(store->list_uploads(outbound).empty());
}

TEST_F(Pack, NothingIsLeftInOutboundWhenNothingCouldBePacked) {
  pack::Item gone = item("gone");
  gone.etag = ETag("x");
  const pack::PackResult result = pack({gone});
  EXPECT_TRUE(result.archives.empty());
  EXPECT_EQ(objects_in(outbound), 0U);
}

TEST_F(Pack, AFailedUploadFailsTheBatchAndLeavesNothing) {
  put("a", "1");
  source.arm("put", "backup_", Error(ErrorKind::unavailable, "no route"));
  EXPECT_THROW(pack({item("a")}), Error);
  EXPECT_EQ(objects_in(outbound), 0U);
}

TEST_F(Pack, DeletionsAreRecordedWithoutReadingAnything) {
  pack::Item deletion = item("was-here", "0F");
  deletion.deleted = true;
  deletion.time = from_epoch_ms(77);
  const pack::PackResult result = pack({deletion});
  EXPECT_EQ(result.items[0].fate, pack::Fate::recorded);
  const archive::Manifest manifest = manifest_of(result.archives.at(0).key);
  EXPECT_TRUE(manifest.objects.empty());
  ASSERT_EQ(manifest.deletions.size(), 1U);
  EXPECT_EQ(manifest.deletions[0].key.str(), "was-here");
  EXPECT_EQ(manifest.deletions[0].sequencer, "0F");
  EXPECT_EQ(manifest.deletions[0].time, from_epoch_ms(77));
}

/// Objects as they are at most: 2 KiB of metadata, ten tags, a long key.
class FullMetadata : public Pack {
 protected:
  std::vector<pack::Item> put_full(int count) {
    std::vector<pack::Item> items;
    for (int i = 0; i < count; ++i) {
      store::ObjectAttributes attributes;
      attributes.metadata = {{"m", test::noise_text(1900, static_cast<unsigned>(i))}};
      for (int tag = 0; tag < 10; ++tag)
        attributes.tags.emplace(fmt::format("{}{}", tag, std::string(120, 't')), std::string(250, 'v'));
      const std::string key = fmt::format("{:04}{}", i, std::string(800, 'k'));
      put(key, "content " + std::to_string(i), attributes);
      items.push_back(item(key));
    }
    return items;
  }
  pack::PackResult pack_within(const std::vector<pack::Item>& items, ByteCount description_bytes) {
    pack::PackPlan full = plan();
    full.description_bytes = description_bytes;
    pack::Packer packer(std::move(full), source, source, world, log, pools, budget);
    return packer.pack(items, {});
  }
};

TEST_F(FullMetadata, AnArchiveIsClosedWhenItsDescriptionIsFullAndTheRestGoesIntoOthers) {
  std::vector<pack::Item> items = put_full(120);
  pack::Item deletion = item("was-here", "0F");
  deletion.deleted = true;
  items.push_back(deletion);
  const pack::PackResult result = pack_within(items, 600'000);
  for (std::size_t i = 0; i < items.size(); ++i)
    EXPECT_EQ(result.items[i].fate, items[i].deleted ? pack::Fate::recorded : pack::Fate::packed);
  EXPECT_GE(result.archives.size(), 3U);
  std::map<std::string, int> found;
  std::size_t deletions = 0;
  for (const pack::PackedArchive& packed : result.archives) {
    const archive::Manifest manifest = manifest_of(packed.key);
    EXPECT_EQ(manifest.objects.size(), packed.objects);
    // A few that were under way when the bound was reached come on top.
    EXPECT_LT(archive::to_json(manifest).size(), 1'000'000U);
    for (const archive::ManifestObject& object : manifest.objects) {
      ++found[object.key.str()];
      EXPECT_EQ(object.tags.size(), 10U);
      EXPECT_EQ(object.metadata.at("m").size(), 1900U);
    }
    deletions += manifest.deletions.size();
  }
  EXPECT_EQ(found.size(), 120U);
  for (const auto& [key, times] : found) EXPECT_EQ(times, 1) << key;
  EXPECT_EQ(deletions, 1U);
}

TEST_F(FullMetadata, ABoundThatIsSmallerThanOneObjectStillPacksEveryOne) {
  const pack::PackResult result = pack_within(put_full(5), 1);
  for (const pack::ItemResult& each : result.items) EXPECT_EQ(each.fate, pack::Fate::packed);
  EXPECT_LE(result.archives.size(), 5U);
}

TEST_F(FullMetadata, AnObjectThatFailsDoesNotKeepTheRestFromTheNextArchive) {
  const std::vector<pack::Item> items = put_full(40);
  source.arm("get_tags", items[3].key.str(), Error(ErrorKind::denied, "access denied").with_code("AccessDenied"));
  const pack::PackResult result = pack_within(items, 100'000);
  for (std::size_t i = 0; i < items.size(); ++i)
    EXPECT_EQ(result.items[i].fate, i == 3 ? pack::Fate::failed : pack::Fate::packed) << i;
}

TEST(RelativeKey, TakesOffThePrefixAndOneSlash) {
  EXPECT_EQ(pack::relative_key("a/b/c", "a"), "b/c");
  EXPECT_EQ(pack::relative_key("a//c", "a"), "/c");
  EXPECT_EQ(pack::relative_key("a/", "a"), "");
  EXPECT_EQ(pack::relative_key("ab/c", "a"), "ab/c");
  EXPECT_EQ(pack::relative_key("/x", ""), "/x");
}

}  // namespace
}  // namespace bale::testing
