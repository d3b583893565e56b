// Manifests of S3 Cross-Region Compressor in both of its forms: each object gets the key that it had at its source.
#include "archive/manifest_forms.hpp"

#include "archive/stream_reader.hpp"
#include "support/foreign_archive.hpp"

namespace bale::archive {
namespace {

using test::frames_of;
using test::MemorySource;
using test::tar_of;
using test::TestMember;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

enum class Form { published, backup_mode };

/// What the program writes of keys below a monitored prefix: every object has 1 byte.
std::string manifest_of(const std::string& prefix, const std::vector<std::string>& keys, Form form) {
  std::string json = R"({"targets": [], "objects": [)";
  for (const std::string& key : keys) {
    const std::string relative = prefix.empty() ? key : key.substr(prefix.size() + 1);
    const std::string name(basename(key));
    const std::string folder = key.substr(0, key.size() - name.size());
    json += (json.ends_with('[') ? "" : ", ");
    json += R"({"source_bucket": "src", "source_prefix": ")" +
            (form == Form::published ? folder.substr(0, folder.rfind('/') + (folder == "/" ? 1 : 0)) : prefix) +
            R"(", "object_name": ")" + name + R"(", "relative_key": ")" + relative + R"(", "size": 1})";
  }
  return json + "]}";
}

std::vector<std::string> keys_of(const Manifest& manifest) {
  std::vector<std::string> keys;
  for (const ManifestObject& object : manifest.objects) keys.push_back(object.key.str());
  return keys;
}

Manifest settled(const std::string& json, const std::string& archive_name) {
  Manifest manifest = parse_manifest(json);
  MemoryShare memory;
  settle_source_prefixes(manifest, archive_name, memory);
  return manifest;
}

struct Source {
  std::string prefix;
  std::vector<std::string> keys;
};

const std::vector<Source> sources{
    {"docs", {"docs/deep/er/x.bin"}},
    {"docs", {"docs/x", "docs/deep/x", "docs/deep/er/x", "docs/other/x"}},
    {"", {"x"}},
    {"", {"deep/x"}},
    {"", {"x", "deep/x", "deep/er/x"}},
    {"a", {"a/a/a"}},
    {"a/a", {"a/a/a"}},
    {"a/a", {"a/a/a/a", "a/a/a/a/a", "a/a/a"}},
    {"", {"a/a/a"}},
    {"", {"a/a/a", "a/a", "a"}},
    {"a", {"a/a/x", "a/a/y"}},
    {"docs", {"docs/folder/", "docs/folder/x"}},
    {"docs", {"docs/src/docs/x"}},
};

std::string place_of(const Source& source) {
  return "src/" + source.prefix + (source.prefix.empty() ? "" : "/") + "0123abc.tar.zst";
}

TEST(ManifestForms, BothGiveTheKeysOfTheSource) {
  for (const Source& source : sources) {
    for (const Form form : {Form::published, Form::backup_mode}) {
      for (const char* above : {"s3://inbound/", "s3://vault/", "/copies/of 2024/", ""}) {
        const Manifest manifest = settled(manifest_of(source.prefix, source.keys, form), above + place_of(source));
        EXPECT_THAT(keys_of(manifest), ElementsAreArray(source.keys)) << above << source.prefix << int(form);
        for (const ManifestObject& object : manifest.objects) EXPECT_EQ(object.source_prefix, source.prefix);
      }
    }
  }
}

TEST(ManifestForms, AnArchiveBelowItsPrefixAloneIsOfTheSamePrefix) {
  for (const Form form : {Form::published, Form::backup_mode}) {
    const Manifest manifest = settled(manifest_of("a", {"a/a/a"}, form), "s3://vault/a/0123abc.tar.zst");
    EXPECT_THAT(keys_of(manifest), ElementsAre("a/a/a"));
  }
}

/// In a file of any name: the objects together tell what one of them does not.
TEST(ManifestForms, WithoutAPlaceTheObjectsDecideAndThenThePublishedForm) {
  for (const Source& source : sources) {
    const Manifest published =
        settled(manifest_of(source.prefix, source.keys, Form::published), "/tmp/download.tar.zst");
    EXPECT_THAT(keys_of(published), ElementsAreArray(source.keys)) << source.prefix;
  }
  const std::vector<std::string> keys{"docs/x", "docs/docs/x", "docs/deep/docs/x"};
  EXPECT_THAT(keys_of(settled(manifest_of("docs", keys, Form::backup_mode), "a.tar.zst")), ElementsAreArray(keys));
}

TEST(ManifestForms, SourceBucketsAreDecidedApart) {
  const std::string json = R"({"objects": [
      {"source_bucket": "one", "source_prefix": "p/d", "relative_key": "d/x", "object_name": "x", "size": 1},
      {"source_bucket": "one", "source_prefix": "p/e", "relative_key": "e/x", "object_name": "x", "size": 1},
      {"source_bucket": "two", "source_prefix": "p", "relative_key": "d/z", "object_name": "z", "size": 1},
      {"source_bucket": "two", "source_prefix": "p", "relative_key": "y", "object_name": "y", "size": 1}]})";
  EXPECT_THAT(keys_of(settled(json, "a")), ElementsAre("p/d/x", "p/e/x", "p/d/z", "p/y"));
}

TEST(ManifestForms, KeysThatAManifestNamesItselfAreKept) {
  const std::string entry = R"("source_prefix": "d", "relative_key": "d/x", "key": "odd/d/x", "size": 1)";
  EXPECT_THAT(keys_of(settled(R"({"objects": [{)" + entry + "}]}", "a")), ElementsAre("odd/d/x"));
  EXPECT_THAT(keys_of(settled(R"({"version": 1, "objects": [{)" + entry + R"(, "member": "m"}]})", "a")),
              ElementsAre("odd/d/x"));
}

TEST(ManifestForms, WhatTheyTakeIsCounted) {
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) keys.push_back("docs/" + std::to_string(i) + "/" + std::string(200, 'x'));
  Manifest manifest = parse_manifest(manifest_of("docs", keys, Form::published));
  MemoryShare little(1 << 20);
  EXPECT_THROW(settle_source_prefixes(manifest, "a", little), Error);
  MemoryShare enough;
  enough.add(manifest.objects.memory(), "objects");
  settle_source_prefixes(manifest, "a", enough);
  EXPECT_EQ(enough.taken(), manifest.objects.memory());
}

TEST(ManifestForms, StreamsAndIndexesHaveTheSameKeys) {
  const std::vector<std::string> keys{"docs/deep/er/x.bin", "docs/y"};
  MemorySource file(frames_of(tar_of({{"objects/deep/er/x.bin", "x"},
                                      {"objects/y", "y"},
                                      {"manifest.json", manifest_of("docs", keys, Form::published)}})));
  EXPECT_THAT(keys_of(open_archive(file)->manifest()), ElementsAreArray(keys));
  const BuiltSidecar built = test::index_of(file);
  EXPECT_EQ(built.missing, 0U);
  EXPECT_THAT(keys_of(built.sidecar.manifest), ElementsAreArray(keys));
  EXPECT_THAT(keys_of(decode_sidecar(encode_sidecar(built.sidecar).view()).manifest), ElementsAreArray(keys));
}

/// Reader and writer of other makes: one joins prefix and name, the other prefix and relative key.
TEST(ManifestForms, WhatBaleWritesHasTheKeyByBothRules) {
  Manifest manifest;
  ManifestObject object;
  object.source_bucket = BucketName("src");
  object.source_prefix = "docs";
  object.relative_key = "deep/er/x.bin";
  object.object_name = "x.bin";
  object.key = ObjectKey("docs/deep/er/x.bin");
  object.member = "objects/deep/er/x.bin";
  manifest.objects.push_back(object);
  const std::string json = to_json(manifest);
  EXPECT_THAT(json,
              HasSubstr(R"("source_prefix":"docs","object_name":"deep/er/x.bin","relative_key":"deep/er/x.bin")"));
  EXPECT_EQ(parse_manifest(json), manifest) << "the name in Bale's own catalog is the last component";
}

TEST(ManifestForms, TheKeyThatWasMisreadIsKnown) {
  ManifestObject object;
  object.source_prefix = "docs";
  object.relative_key = "deep/er/x.bin";
  EXPECT_EQ(misread_key(object), "docs/deep/er/deep/er/x.bin");
  object.source_prefix = "";
  EXPECT_EQ(misread_key(object), "deep/er/deep/er/x.bin");
  object.relative_key = "x";
  EXPECT_EQ(misread_key(object), "");
}

}  // namespace
}  // namespace bale::archive
