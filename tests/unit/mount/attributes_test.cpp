// What a file says of its object.
#include "mount/attributes.hpp"

#include <map>

namespace bale::mount {
namespace {

TEST(AttributesTest, HaveWhatTheRecordHas) {
  catalog::Record record;
  record.source_bucket = BucketName("source");
  record.object_path = ObjectKey("a/b");
  record.archive_bucket = BucketName("backup");
  record.archive_key = ObjectKey("x.tar.zst");
  record.etag = ETag("tag");
  record.sha256 = "abc";
  record.version_id = VersionId("v");
  record.storage_class = "STANDARD_IA";
  record.last_modified = from_epoch_ms(1'737'623'107'123);
  record.headers.content_type = "text/plain";
  record.metadata = {{"owner", "me"}, {std::string(300, 'n'), "long"}};
  record.tags = {{"team", "ünits"}};
  const auto list = attributes_of(record);
  const std::map<std::string, std::string> all(list.begin(), list.end());
  EXPECT_EQ(all.size(), list.size());
  EXPECT_EQ(all.at("user.bale.uri"), "s3://source/a/b");
  EXPECT_EQ(all.at("user.bale.archive"), "s3://backup/x.tar.zst");
  EXPECT_EQ(all.at("user.bale.etag"), "tag");
  EXPECT_EQ(all.at("user.bale.sha256"), "abc");
  EXPECT_EQ(all.at("user.bale.version_id"), "v");
  EXPECT_EQ(all.at("user.bale.storage_class"), "STANDARD_IA");
  EXPECT_EQ(all.at("user.bale.last_modified"), "2025-01-23T09:05:07.123Z");
  EXPECT_EQ(all.at("user.bale.content_type"), "text/plain");
  EXPECT_EQ(all.at("user.bale.metadata.owner"), "me");
  EXPECT_EQ(all.at("user.bale.tag.team"), "ünits");
  EXPECT_EQ(catalog::map_from_json(all.at("user.bale.metadata")), record.metadata) << "names too long for an attribute";
  EXPECT_EQ(catalog::map_from_json(all.at("user.bale.tags")), record.tags);
  EXPECT_EQ(all.size(), 12U);
}

TEST(AttributesTest, LeaveOutWhatItHasNot) {
  catalog::Record record;
  record.source_bucket = BucketName("source");
  record.object_path = ObjectKey("k");
  for (const auto& [name, value] : attributes_of(record)) {
    EXPECT_TRUE(name.starts_with(attribute_prefix)) << name;
    EXPECT_FALSE(value.empty()) << name;
  }
  EXPECT_EQ(attributes_of(record).size(), 2U);  // uri, last_modified
}

}  // namespace
}  // namespace bale::mount
