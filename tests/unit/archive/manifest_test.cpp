#include "archive/manifest.hpp"

#include "support/archive_kit.hpp"

namespace bale::archive {
namespace {

using ::testing::HasSubstr;

Manifest full_manifest() {
  Manifest manifest;
  manifest.source_region = Region("eu-west-1");
  manifest.created = from_epoch_ms(1'737'623'107'123);
  manifest.level = 12;
  manifest.targets = {{Region("us-east-1"), BucketName("normal"), "arn:aws:kms:key", "GLACIER", false},
                      {Region("eu-central-1"), BucketName("backup"), "", "", true}};
  ManifestObject object;
  object.source_bucket = BucketName("source");
  object.source_prefix = "data/in";
  object.object_name = "ä \"x\".txt";
  object.relative_key = "sub/ä \"x\".txt";
  object.key = ObjectKey("data/in/sub/ä \"x\".txt");
  object.member = "objects/sub/ä \"x\".txt";
  object.last_modified = from_epoch_ms(1'737'623'107'456);
  object.etag = ETag("abc-2");
  object.size = 5'368'709'121;
  object.storage_class = "STANDARD_IA";
  object.tags = {{"k", "v"}, {"key", "tricky"}, {"empty", ""}};
  object.version_id = VersionId("v1");
  object.sequencer = "0055AED6DCD90281E5";
  object.headers = {"text/plain", "no-cache", "attachment", "gzip", "de", "Thu, 01 Jan 2026 00:00:00 GMT", "/other"};
  object.metadata = {{"a", "1"}, {"b", "ü"}};
  object.sha256 = std::string(64, 'a');
  object.data_offset = 512;
  manifest.objects.push_back(object);
  object.member = "objects/second";
  object.object_name = object.relative_key = "second";
  manifest.objects.push_back(object);
  return manifest;
}

TEST(ManifestTest, EverythingComesBack) {
  const Manifest manifest = full_manifest();
  const std::string json = to_json(manifest);
  EXPECT_EQ(parse_manifest(json), manifest);
  EXPECT_EQ(to_json(parse_manifest(json)), json);
}

TEST(ManifestTest, AnEmptyOneComesBackToo) {
  Manifest manifest;
  EXPECT_EQ(parse_manifest(to_json(manifest)), manifest);
}

TEST(ManifestTest, NamesThatAreNotUtf8ComeBackByteForByte) {
  Manifest manifest = full_manifest();
  test::change(manifest.objects, 1, [](ManifestObject& object) {
    object.object_name = object.relative_key = "caf\xe9";
    object.key = ObjectKey("caf\xe9");
    object.metadata = {{"m", "\xff"}};
  });
  EXPECT_EQ(parse_manifest(to_json(manifest)), manifest);
}

TEST(ManifestTest, NamesOfTheUsersThatEndInBase64AreNoEncodings) {
  Manifest manifest = full_manifest();
  test::change(manifest.objects, 0, [](ManifestObject& object) {
    object.metadata = {{"icon", "a.png"}, {"icon_base64", "aGVsbG8="}, {"x", "y"}, {"x_base64", "*"}};
    object.tags = {{"k", "v"}, {"k_base64", ""}};
  });
  EXPECT_EQ(parse_manifest(to_json(manifest)), manifest);
  test::change(manifest.objects, 0, [](ManifestObject& object) {
    object.metadata = {{"who", "J\xfcrgen"}, {"who_else", "x"}};
  });
  EXPECT_EQ(parse_manifest(to_json(manifest)), manifest);
}

TEST(ManifestTest, NamesAreThoseOfTheReference) {
  const std::string json = to_json(full_manifest());
  for (const char* part :
       {R"("targets":[{"region":"us-east-1","bucket":"normal","kms_key_arn":"arn:aws:kms:key")",
        R"(,"storage_class":"GLACIER"},)", R"({"region":"eu-central-1","bucket":"backup","backup":true})",
        R"("creation_time":"2025-01-23 09:05:07")",
        R"("source_bucket":"source","source_region":"eu-west-1","source_prefix":"data/in")", R"("etag":"abc-2")",
        R"("size":5368709121)", R"("tags":[{"empty":""},{"k":"v"},{"key":"tricky"}])",
        R"("last_modified":1737623107456)"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST(ManifestTest, ManifestsOfTheReferenceAreRead) {
  const Manifest manifest = parse_manifest(R"({
    "targets": [{"region": "us-east-1", "bucket": "b", "kms_key_arn": "", "backup": true, "unknown": {"x": [1]}}],
    "objects": [
      {"source_bucket": "s", "source_region": "eu-west-1", "source_prefix": "p/", "object_name": "a.txt",
       "relative_key": "d/a.txt", "creation_time": "2024-05-06 07:08:09", "etag": "e", "size": 3.0,
       "storage_class": "STANDARD", "tags": [{"Key": "k1", "Value": "v1"}, {"key": "k2", "value": "v2"}]},
      {"relative_key": "b", "size": 0, "tags": [{"k3": "v3"}, {"k4": "v4"}]},
      {"relative_key": "c", "size": 0, "tags": {"k5": "v5"}}]})");
  EXPECT_EQ(manifest.version, 0);
  EXPECT_EQ(manifest.source_region.str(), "eu-west-1");
  ASSERT_EQ(manifest.targets.size(), 1U);
  EXPECT_TRUE(manifest.targets[0].backup);
  ASSERT_EQ(manifest.objects.size(), 3U);
  const ManifestObject& first = manifest.objects[0];
  EXPECT_EQ(first.key.str(), "p/d/a.txt");
  EXPECT_EQ(first.member, "objects/d/a.txt");
  EXPECT_EQ(to_timestamp(first.last_modified), "2024-05-06 07:08:09");
  EXPECT_EQ(first.size, 3U);
  EXPECT_EQ(first.tags, (store::Tags{{"k1", "v1"}, {"k2", "v2"}}));
  EXPECT_EQ(manifest.objects[1].tags, (store::Tags{{"k3", "v3"}, {"k4", "v4"}}));
  EXPECT_EQ(manifest.objects[2].tags, (store::Tags{{"k5", "v5"}}));
  EXPECT_EQ(manifest.objects[1].storage_class, "STANDARD");
}

struct Wrong {
  const char* json;
  const char* message;
};
class WrongManifest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongManifest, IsCorruptAndSaysWhere) {
  try {
    parse_manifest(GetParam().json);
    FAIL() << "accepted: " << GetParam().json;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongManifest,
    testing::Values(
        Wrong{"", "not valid JSON"}, Wrong{"{\"objects\":[", "not valid JSON"}, Wrong{"[]", "is not an object"},
        Wrong{"{}", "objects is missing"}, Wrong{R"({"objects":{}})", "objects is missing or not a list"},
        Wrong{R"({"objects":[1]})", "not an object"},
        Wrong{R"({"objects":[{}]})", "objects[0].relative_key is missing"},
        Wrong{R"({"objects":[{"relative_key":5,"size":1}]})", "objects[0].relative_key is not a string"},
        Wrong{R"({"objects":[{"relative_key":"a"}]})", "objects[0].size is missing"},
        Wrong{R"({"objects":[{"relative_key":"a","size":-1}]})", "objects[0].size is not an integer"},
        Wrong{R"({"objects":[{"relative_key":"a","size":5.5}]})", "objects[0].size is not an integer"},
        Wrong{R"({"objects":[{"relative_key":"a","size":-5.0}]})", "objects[0].size is not an integer"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1e99}]})", "objects[0].size is not an integer"},
        Wrong{R"({"objects":[{"relative_key":"a","size":9223372036854775808}]})", "objects[0].size"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1,"data_offset":-5}]})", "objects[0].data_offset"},
        Wrong{R"({"objects":[{"relative_key":"a","size":2,"data_offset":9223372036854775807}]})",
              "objects[0].data_offset and size exceed"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1,"sha256":"zz"}]})", "objects[0].sha256"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1,"tags":[5]}]})", "objects[0].tags[0] is not an object"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1,"tags":[{"k":5}]}]})", "objects[0].tags[0].k"},
        Wrong{R"({"objects":[{"relative_key":"a","size":1,"creation_time":"x"}]})", "objects[0].creation_time"},
        Wrong{R"({"objects":[],"targets":[{"region":"r"}]})", "targets[0].bucket is missing"},
        Wrong{R"({"objects":[],"targets":5})", "targets is not a list"},
        Wrong{R"({"version":1,"objects":[{"relative_key":"a","size":1},)"
              R"({"relative_key":"b","size":1,"member":"objects/a"}]})",
              "objects[1].member is that of another object"}));

TEST(ManifestTest, ANewerVersionIsUnsupported) {
  try {
    parse_manifest(R"({"version":2,"objects":[]})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  }
}

}  // namespace
}  // namespace bale::archive
