// What every ObjectStore must do: the documented behaviour of S3.
//
// A kind is a class with
//   store::ObjectStore& store();                 // one region, the same for the life of the kind
//   queue::MessageQueue& queues();               // of the same region
//   BucketName bucket(const std::string& name);  // a bucket of its own for each name, made
//   bool advance(Milliseconds);                  // moves the kind's clock; false where it cannot
// It is an AsS3, and replaces there what it does otherwise. Only the assertions about that are left out for it;
// docs/testing.md says what each deviation means for Bale.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "base/hash.hpp"
#include "contract/as_s3.hpp"
#include "contract/checked.hpp"
#include "contract/errors.hpp"
#include "queue/message_queue.hpp"
#include "store/checksum.hpp"
#include "store/object_store.hpp"
#include "support/counted_body.hpp"
#include "support/digested_body.hpp"

namespace bale::testing {

template <typename Kind>
class ObjectStoreSuite : public ::testing::Test {
 protected:
  store::ObjectStore& store() { return kind_.store(); }
  ObjectAddress at(const std::string& key) { return {bucket_, ObjectKey(key)}; }

  store::PutResult put(const std::string& key, std::string_view content, const store::ObjectAttributes& attributes = {},
                       const store::WriteConditions& conditions = {}) {
    store::MemoryBody body(as_bytes(content));
    return store().put(at(key), body, attributes, conditions);
  }
  std::string get(const std::string& key, const std::optional<store::ByteRange>& range = std::nullopt,
                  const store::ReadConditions& conditions = {}) {
    return store::read_all(*store().get(at(key), range, conditions), 64 << 20);
  }
  std::vector<std::string> keys(const store::ListRequest& request = {}) {
    std::vector<std::string> found;
    for (const auto& object : store().list(bucket_, request).objects) found.push_back(object.key.str());
    return found;
  }
  ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                   std::string_view content) {
    store::MemoryBody body(as_bytes(content));
    return store().upload_part(object, upload, number, body);
  }
  /// Uploads `parts` one after the other and completes.
  store::PutResult put_parts(const std::string& key, const std::vector<std::string>& parts,
                             const store::ObjectAttributes& attributes = {}) {
    const UploadId upload = store().create_upload(at(key), attributes);
    std::vector<store::UploadedPart> listed;
    for (std::uint32_t i = 0; i < parts.size(); ++i)
      listed.push_back({i + 1, upload_part(at(key), upload, i + 1, parts[i]), parts[i].size()});
    return store().complete_upload(at(key), upload, listed);
  }
  store::PutResult put_with(const std::string& key, std::string_view content, const store::BodyDigests& digests) {
    DigestedBody body(content, digests);
    return store().put(at(key), body, {}, {});
  }
  ETag upload_part_with(const std::string& key, const UploadId& upload, std::uint32_t number, std::string_view content,
                        const store::BodyDigests& digests) {
    DigestedBody body(content, digests);
    return store().upload_part(at(key), upload, number, body);
  }
  /// The first object of the bucket, `key`, is listed as restored where that is asked for.
  void expect_listed_restore(const std::string& key) {
    EXPECT_FALSE(store().list(bucket_, {}).objects.at(0).restore) << "nobody asked";
    const store::ListRequest request{.prefix = key, .with_restore_status = true};
    const auto object = store().list(bucket_, request).objects.at(0);
    ASSERT_TRUE(object.restore);
    EXPECT_FALSE(object.restore->in_progress);
    ASSERT_TRUE(object.restore->expiry);
    EXPECT_GT(*object.restore->expiry, object.last_modified);
    EXPECT_EQ(store().list_versions(bucket_, request).versions.at(0).restore, object.restore);
  }
  /// Listings tell the algorithm of the object's checksum, and that it is of the whole object.
  void expect_listed_checksum(const std::string& key, store::Checksum::Algorithm algorithm) {
    const auto object = store().list(bucket_, {.prefix = key}).objects.at(0);
    EXPECT_EQ(object.checksum_algorithm, algorithm);
    EXPECT_TRUE(object.checksum_is_whole);
    const auto version = store().list_versions(bucket_, {.prefix = key}).versions.at(0);
    EXPECT_EQ(version.checksum_algorithm, algorithm);
    EXPECT_TRUE(version.checksum_is_whole);
  }
  /// Begins an upload with an algorithm.
  UploadId begin(const std::string& key, const std::optional<store::Checksum::Algorithm>& algorithm) {
    store::ObjectAttributes attributes;
    attributes.checksum_algorithm = algorithm;
    return store().create_upload(at(key), attributes);
  }
  static store::BodyDigests checksum_of(store::Checksum::Algorithm algorithm, std::string_view content) {
    store::BodyDigests digests;
    digests.checksum = store::checksum_of(algorithm, as_bytes(content));
    return digests;
  }
  std::optional<store::Checksum> checksum_told_of(const std::string& key) {
    return store().head(at(key), {.version_id = {}, .if_match = {}, .with_evidence = true}).value().checksum;
  }
  /// Eight write the object at the same time, each on this condition and with content of its own. Where several may
  /// win, at least one does, and the others fail by the condition.
  void one_of_many_wins(const std::string& key, const store::WriteConditions& conditions,
                        bool several_may_win = false) {
    std::atomic<int> won{0}, lost{0};
    std::vector<std::jthread> writers;
    for (int i = 0; i < 8; ++i) {
      writers.emplace_back([&, i] {
        try {
          put(key, fmt::format("{} of {}", i, conditions.if_match.str()), {}, conditions);
          ++won;
        } catch (const Error& error) {
          if (error.kind() == ErrorKind::precondition) ++lost;
        }
      });
    }
    writers.clear();  // waits for them
    EXPECT_EQ(won + lost, 8);
    EXPECT_GE(won, 1);
    if (!several_may_win) {
      EXPECT_EQ(won, 1);
    }
  }
  static std::string md5(std::string_view content) { return to_hex_digest(Md5::of(as_bytes(content))); }
  static std::string bytes(std::size_t size, unsigned seed = 1) {
    std::string content(size, '\0');
    std::uint32_t state = seed * 2654435761u + 1;
    for (char& c : content) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return content;
  }

  Kind kind_;
  BucketName bucket_ = kind_.bucket("first");
};

TYPED_TEST_SUITE_P(ObjectStoreSuite);

// Buckets

TYPED_TEST_P(ObjectStoreSuite, MakesAndRemovesBuckets) {
  const BucketName bucket = this->kind_.bucket("second");
  ASSERT_TRUE(this->store().head_bucket(bucket));
  EXPECT_EQ(this->store().head_bucket(bucket)->name, bucket);
  EXPECT_ERROR(ErrorKind::precondition, "BucketAlreadyOwnedByYou", this->store().create_bucket(bucket));
  const auto all = this->store().list_buckets();
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [&](const auto& info) { return info.name == bucket; }), 1);
  this->store().delete_bucket(bucket);
  EXPECT_FALSE(this->store().head_bucket(bucket));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().delete_bucket(bucket));
}

TYPED_TEST_P(ObjectStoreSuite, RefusesIllegalBucketNames) {
  EXPECT_ERROR(ErrorKind::invalid, "InvalidBucketName", this->store().create_bucket(BucketName("Up")));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidBucketName", this->store().create_bucket(BucketName("../../etc")));
}

TYPED_TEST_P(ObjectStoreSuite, KeepsABucketThatIsNotEmpty) {
  const BucketName bucket = this->kind_.bucket("second");
  this->store().set_versioning(bucket, store::Versioning::enabled);
  const ObjectAddress object{bucket, ObjectKey("k")};
  store::MemoryBody body(as_bytes("x"));
  const auto version = this->store().put(object, body, {}).version_id;
  const auto marker = this->store().remove(object).version_id;
  EXPECT_ERROR(ErrorKind::precondition, "BucketNotEmpty", this->store().delete_bucket(bucket));
  this->store().remove(object, version);
  EXPECT_ERROR(ErrorKind::precondition, "BucketNotEmpty", this->store().delete_bucket(bucket));
  this->store().remove(object, marker);
  this->store().create_upload(object, {});  // uploads do not count
  this->store().delete_bucket(bucket);
}

TYPED_TEST_P(ObjectStoreSuite, SaysWhichBucketIsMissing) {
  const ObjectAddress object{BucketName("no-such-bucket-here"), ObjectKey("k")};
  store::MemoryBody body(as_bytes("x"));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().put(object, body, {}));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().get(object));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().remove(object));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().list(object.bucket, {}));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().create_upload(object, {}));
  EXPECT_FALSE(this->store().head_bucket(object.bucket));
}

// Objects

TYPED_TEST_P(ObjectStoreSuite, GivesBackWhatWasPut) {
  for (const std::size_t size : {0u, 1u, 4096u, 65536u, 65537u, 3'000'001u}) {
    const std::string content = this->bytes(size);
    EXPECT_EQ(this->put("k", content).etag.str(), this->md5(content));
    EXPECT_EQ(this->get("k"), content);
    EXPECT_EQ(this->store().head(this->at("k"))->size, size);
  }
}

TYPED_TEST_P(ObjectStoreSuite, GivesBackZeros) {
  std::string content(1 << 20, '\0');
  content.replace(300'000, 4, "data");
  for (const std::size_t cut : {0u, 1u, 65536u, 700'000u}) {
    const std::string part = content.substr(0, content.size() - cut);
    EXPECT_EQ(this->put("zeros", part).etag.str(), this->md5(part));
    EXPECT_EQ(this->get("zeros"), part);
  }
}

TYPED_TEST_P(ObjectStoreSuite, PullsBodiesOfManyPieces) {
  const std::string a = this->bytes(70'000), b = this->bytes(3), c = this->bytes(200'000, 2);
  store::MemoryBody body({as_bytes(a), ByteView{}, as_bytes(b), as_bytes(c)});
  EXPECT_EQ(this->store().put(this->at("k"), body, {}).etag.str(), this->md5(a + b + c));
  EXPECT_EQ(this->get("k"), a + b + c);
}

TYPED_TEST_P(ObjectStoreSuite, TellsABodyWhatIsSentOfIt) {
  for (const std::size_t size : {0, 5, 3'000'000}) {
    const std::string content = this->bytes(size);
    CountedBody body(content);
    this->store().put(this->at("k"), body, {});
    EXPECT_EQ(body.sent_now, size);
    EXPECT_TRUE(body.taken_back == 0 || !TypeParam::sends_once) << "it was only read for a checksum";
  }
}

TYPED_TEST_P(ObjectStoreSuite, KeepsAllAttributes) {
  store::ObjectAttributes attributes;
  attributes.headers = {"text/plain", "max-age=60", "attachment; filename=\"a.txt\"",
                        "gzip",       "de",         "Thu, 01 Jan 2026 00:00:00 GMT",
                        "/elsewhere"};
  attributes.metadata = {{"owner", "me"}, {"note", std::string(2048 - 5 - 2 - 4, 'n')}};
  if (TypeParam::has_tags) {
    for (int i = 0; i < 10; ++i) attributes.tags["key " + std::to_string(i)] = "value + / = " + std::to_string(i);
  }
  if (!TypeParam::keeps_website_redirect) attributes.headers.website_redirect.clear();
  attributes.storage_class = TypeParam::has_storage_classes ? "STANDARD_IA" : "STANDARD";
  this->put("k", "content", attributes);
  const auto info = this->store().head(this->at("k"));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->headers, attributes.headers);
  EXPECT_EQ(info->metadata, attributes.metadata);
  EXPECT_EQ(info->tag_count, attributes.tags.size());
  EXPECT_EQ(info->storage_class, attributes.storage_class);
  if (TypeParam::has_tags) {
    EXPECT_EQ(this->store().get_tags(this->at("k")), attributes.tags);
  }
  const auto stream = this->store().get(this->at("k"));
  EXPECT_EQ(stream->info().headers, attributes.headers);
  EXPECT_EQ(stream->info().metadata, attributes.metadata);
}

TYPED_TEST_P(ObjectStoreSuite, TakesEveryLegalKey) {
  std::vector<std::string> legal = {"a",
                                    "a/b",
                                    "a/",
                                    "a//b",
                                    "/",
                                    "//",
                                    "/a",
                                    "..",
                                    "../x",
                                    "./y",
                                    ".",
                                    "a/../b",
                                    "a@b",
                                    "a%b",
                                    "a%2Fb",
                                    "a+b",
                                    "a b",
                                    "new\nline",
                                    "tab\t",
                                    "\x7f",
                                    "ü/日本語/🎉",
                                    std::string(1024, 'k'),
                                    std::string(300, 'x') + "/y",
                                    std::string(512, '/'),
                                    std::string(1024, '%'),
                                    "a/%",
                                    "con",
                                    "a\\b",
                                    "*?"};
  std::erase_if(legal, [](const std::string& key) { return !TypeParam::takes_key(key); });
  for (const std::string& key : legal) this->put(key, "of " + key);
  for (const std::string& key : legal) EXPECT_EQ(this->get(key), "of " + key) << key;
  auto sorted = legal;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(this->keys(), sorted);
  for (const std::string& key : legal) this->store().remove(this->at(key));
  EXPECT_THAT(this->keys(), ::testing::IsEmpty());
}

TYPED_TEST_P(ObjectStoreSuite, RefusesWhatS3Refuses) {
  EXPECT_ERROR(ErrorKind::invalid, "KeyTooLongError", this->put(std::string(1025, 'k'), "x"));
  store::ObjectAttributes attributes;
  attributes.metadata = {{"k", std::string(2048, 'v')}};
  EXPECT_ERROR(ErrorKind::invalid, "MetadataTooLarge", this->put("k", "x", attributes));
  attributes = {};
  attributes.storage_class = "COLD";
  EXPECT_ERROR(ErrorKind::invalid, "InvalidStorageClass", this->put("k", "x", attributes));
  attributes = {};
  for (int i = 0; i < 11; ++i) attributes.tags[std::to_string(i)] = "";
  EXPECT_EQ(error_of([&] { this->put("k", "x", attributes); }).kind(), ErrorKind::invalid);
  attributes.tags = {{std::string(129, 'k'), ""}};
  EXPECT_ERROR(ErrorKind::invalid, "InvalidTag", this->put("k", "x", attributes));
  attributes.tags = {{"k", std::string(257, 'v')}};
  EXPECT_ERROR(ErrorKind::invalid, "InvalidTag", this->put("k", "x", attributes));
  EXPECT_FALSE(this->store().head(this->at("k")));
}

TYPED_TEST_P(ObjectStoreSuite, CountsTagCharactersNotBytes) {
  if (!TypeParam::has_tags) GTEST_SKIP() << "the server has no tags";
  if (!TypeParam::counts_tag_characters) GTEST_SKIP() << "the server counts their bytes";
  std::string key, value;
  for (int i = 0; i < 128; ++i) key += "ü";
  for (int i = 0; i < 256; ++i) value += "日";
  store::ObjectAttributes attributes;
  attributes.tags = {{key, value}};
  this->put("k", "x", attributes);
  EXPECT_EQ(this->store().get_tags(this->at("k")), attributes.tags);
}

TYPED_TEST_P(ObjectStoreSuite, ReadsRanges) {
  const std::string content = this->bytes(100'000);
  this->put("k", content);
  using store::ByteRange;
  EXPECT_EQ(this->get("k", ByteRange::at(0, 1)), content.substr(0, 1));
  EXPECT_EQ(this->get("k", ByteRange::at(99'999, 1)), content.substr(99'999));
  EXPECT_EQ(this->get("k", ByteRange::at(500, 70'000)), content.substr(500, 70'000));
  EXPECT_EQ(this->get("k", ByteRange::at(99'000, 5'000)), content.substr(99'000));
  EXPECT_EQ(this->get("k", ByteRange::tail(10)), content.substr(99'990));
  EXPECT_EQ(this->get("k", ByteRange::tail(1'000'000)), content);
  const auto stream = this->store().get(this->at("k"), ByteRange::tail(10));
  EXPECT_EQ(stream->offset(), 99'990u);
  EXPECT_EQ(stream->length(), 10u);
  EXPECT_EQ(stream->info().size, 100'000u);
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRange", this->store().get(this->at("k"), ByteRange::at(100'000, 1)));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRange", this->store().get(this->at("k"), ByteRange::tail(0)));
  this->put("empty", "");
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRange", this->store().get(this->at("empty"), ByteRange::at(0, 1)));
}

TYPED_TEST_P(ObjectStoreSuite, ChecksConditionsOfReads) {
  const ETag etag = this->put("k", "x").etag;
  EXPECT_EQ(this->get("k", std::nullopt, {{}, etag}), "x");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().get(this->at("k"), std::nullopt, {{}, ETag("other")}));
  EXPECT_EQ(error_of([&] { this->store().head(this->at("k"), {{}, ETag("other")}); }).kind(), ErrorKind::precondition);
}

TYPED_TEST_P(ObjectStoreSuite, ChecksConditionsOfWrites) {
  if (TypeParam::tells_missing_from_changed) {
    EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", this->put("k", "x", {}, {false, ETag("0")}));
  } else {
    EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "x", {}, {false, ETag("0")}));
  }
  const ETag first = this->put("k", "1", {}, {true, {}}).etag;
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "2", {}, {true, {}}));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "2", {}, {false, ETag("0")}));
  EXPECT_EQ(this->get("k"), "1");
  this->put("k", "2", {}, {false, first});
  EXPECT_EQ(this->get("k"), "2");
}

TYPED_TEST_P(ObjectStoreSuite, ChecksConditionsOfWritesWhereVersionsAreKept) {
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  const ETag first = this->put("k", "1", {}, {true, {}}).etag;
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "2", {}, {true, {}}));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "2", {}, {false, ETag("0")}));
  EXPECT_EQ(this->get("k"), "1");
  this->put("k", "2", {}, {false, first});
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", this->put("k", "3", {}, {false, first}));
  EXPECT_EQ(this->get("k"), "2");
  this->store().remove(this->at("k"));
  this->put("k", "3", {}, {true, {}});
  EXPECT_EQ(this->store().list_versions(this->bucket_, {}).versions.size(), 4u) << "3, a marker, 2, 1";
}

TYPED_TEST_P(ObjectStoreSuite, LetsOneOfManyConditionalWritersWinWhereVersionsAreKept) {
  // Where not, an earlier version may appear after a later one was judged.
  const bool several_may_win = !TypeParam::dates_versions_when_written;
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  this->one_of_many_wins("new", {true, {}}, several_may_win);
  this->one_of_many_wins("new", {false, this->store().head(this->at("new"))->etag}, several_may_win);
  if (!several_may_win) {
    EXPECT_EQ(this->store().list_versions(this->bucket_, {}).versions.size(), 2u);
  }
}

TYPED_TEST_P(ObjectStoreSuite, LetsOneOfManyConditionalWritersWin) {
  if (!TypeParam::has_put_conditions) GTEST_SKIP() << "a write on a condition looks first, and then writes";
  this->one_of_many_wins("k", {true, {}});
}

TYPED_TEST_P(ObjectStoreSuite, RemovesObjects) {
  this->put("k", "x");
  EXPECT_FALSE(this->store().remove(this->at("k")).delete_marker);
  EXPECT_FALSE(this->store().head(this->at("k")));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", this->store().get(this->at("k")));
  this->store().remove(this->at("k"));  // no error
}

TYPED_TEST_P(ObjectStoreSuite, ChecksConditionsOfDeletions) {
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", this->store().remove(this->at("k"), {}, {.if_match = ETag("0")}));
  const ETag etag = this->put("k", "1").etag;
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().remove(this->at("k"), {}, {.if_match = ETag("0")}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest",
               this->store().remove(this->at("k"), VersionId("null"), {.if_match = etag}));
  EXPECT_EQ(this->get("k"), "1");
  this->store().remove(this->at("k"), {}, {.if_match = etag});
  EXPECT_FALSE(this->store().head(this->at("k")));
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  const ETag second = this->put("k", "2").etag;
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().remove(this->at("k"), {}, {.if_match = etag}));
  if (!TypeParam::removes_versioned_on_condition) {
    EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
                 this->store().remove(this->at("k"), {}, {.if_match = second}));
    EXPECT_EQ(this->get("k"), "2");
    return;
  }
  EXPECT_TRUE(this->store().remove(this->at("k"), {}, {.if_match = second}).delete_marker);
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", this->store().remove(this->at("k"), {}, {.if_match = second}));
}

TYPED_TEST_P(ObjectStoreSuite, RemovesManyObjects) {
  std::vector<std::string> keys{"a", "a/", "/a", "<&>\"'", "a b", "tab\t", "\x7f", "ü/日本語", "..", "kept"};
  std::erase_if(keys, [](const std::string& key) { return !TypeParam::takes_key(key); });
  std::vector<store::ObjectToRemove> objects;
  for (const std::string& key : keys) {
    const ETag etag = this->put(key, key).etag;
    objects.push_back({ObjectKey(key), {}, {.if_match = key == "kept" ? ETag("0") : key == "a" ? etag : ETag()}});
  }
  objects.push_back({ObjectKey("absent")});
  const std::vector<store::RemoveOutcome> outcomes = this->store().remove_all(this->bucket_, objects);
  ASSERT_EQ(outcomes.size(), objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].key.str() != "kept") {
      EXPECT_FALSE(outcomes[i].error) << objects[i].key.str() << ": " << outcomes[i].error->what();
    } else {
      ASSERT_TRUE(outcomes[i].error);
      EXPECT_EQ(outcomes[i].error->code(), "PreconditionFailed");
    }
  }
  EXPECT_THAT(this->keys(), ::testing::ElementsAre("kept"));
}

TYPED_TEST_P(ObjectStoreSuite, RemovesAThousandAtOnce) {
  std::vector<store::ObjectToRemove> objects;
  for (int i = 0; i < 1000; ++i) objects.push_back({ObjectKey("k" + std::to_string(i))});
  for (int i = 0; i < 1000; i += 100) this->put(objects[static_cast<std::size_t>(i)].key.str(), "x");
  for (const store::RemoveOutcome& outcome : this->store().remove_all(this->bucket_, objects))
    EXPECT_FALSE(outcome.error);
  EXPECT_THAT(this->keys(), ::testing::IsEmpty());
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", this->store().remove_all(this->bucket_, {}));
  objects.push_back({ObjectKey("one too many")});
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", this->store().remove_all(this->bucket_, objects));
  const BucketName unknown("contract-no-such-bucket");
  if (TypeParam::has_s3_codes) {
    EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", this->store().remove_all(unknown, {{ObjectKey("k")}}));
  } else {
    EXPECT_THROW(this->store().remove_all(unknown, {{ObjectKey("k")}}), Error);
  }
}

TYPED_TEST_P(ObjectStoreSuite, RemovesManyVersions) {
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  const VersionId first = this->put("k", "1").version_id, second = this->put("k", "2").version_id;
  auto outcomes = this->store().remove_all(this->bucket_, {{ObjectKey("k")}, {ObjectKey("k"), first}});
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_FALSE(outcomes[0].error || outcomes[1].error);
  EXPECT_FALSE(this->store().head(this->at("k")));
  VersionId marker;
  for (const auto& version : this->store().list_versions(this->bucket_, {}).versions) {
    if (version.is_delete_marker) marker = version.version_id;
  }
  EXPECT_FALSE(marker.empty());
  if (TypeParam::tells_markers_of_many) {
    EXPECT_TRUE(outcomes[0].result.delete_marker);
    EXPECT_EQ(outcomes[0].result.version_id, marker);
  }
  EXPECT_EQ(outcomes[1].result.version_id, first);
  EXPECT_FALSE(outcomes[1].result.delete_marker);
  outcomes = this->store().remove_all(this->bucket_, {{ObjectKey("k"), marker}});
  ASSERT_FALSE(outcomes.at(0).error);
  if (TypeParam::tells_removed_markers) {
    EXPECT_TRUE(outcomes.at(0).result.delete_marker);
  }
  if (TypeParam::shows_versions_below_removed_many) {
    EXPECT_EQ(this->get("k"), "2");
  }
  const auto versions = this->store().list_versions(this->bucket_, {}).versions;
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions[0].version_id, second);
}

TYPED_TEST_P(ObjectStoreSuite, KeepsAnOpenStreamConsistent) {
  const std::string content = this->bytes(2'000'000);
  this->put("k", content);
  const auto stream = this->store().get(this->at("k"));
  std::string first(10, '\0');
  ASSERT_EQ(stream->read(std::as_writable_bytes(std::span(first))), 10u);
  this->put("k", "replaced");
  std::string rest(content.size() - 10, '\0');
  for (std::size_t done = 0; done < rest.size();) {
    const std::size_t got = stream->read(std::as_writable_bytes(std::span(rest).subspan(done)));
    ASSERT_GT(got, 0u);
    done += got;
  }
  EXPECT_EQ(first + rest, content);
  EXPECT_EQ(this->get("k"), "replaced");
}

// Versions

TYPED_TEST_P(ObjectStoreSuite, KeepsVersionsAndDeleteMarkers) {
  this->put("k", "before");
  EXPECT_TRUE(this->store().head(this->at("k"))->version_id.empty());
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  EXPECT_EQ(this->store().get_versioning(this->bucket_), store::Versioning::enabled);
  const VersionId one = this->put("k", "one").version_id, two = this->put("k", "two").version_id;
  EXPECT_NE(one, two);
  const auto removed = this->store().remove(this->at("k"));
  EXPECT_TRUE(removed.delete_marker);
  EXPECT_FALSE(this->store().head(this->at("k")));
  EXPECT_EQ(error_of([&] { this->get("k"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { this->get("k", std::nullopt, {removed.version_id, {}}); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(this->get("k", std::nullopt, {one, {}}), "one");
  if (TypeParam::reads_null_versions) {
    EXPECT_EQ(this->get("k", std::nullopt, {VersionId("null"), {}}), "before");
  }

  const auto page = this->store().list_versions(this->bucket_, {});
  ASSERT_EQ(page.versions.size(), 4u);
  std::vector<VersionId> listed;
  for (const store::ListedVersion& version : page.versions) {
    listed.push_back(version.version_id);
    const bool is_marker = version.version_id == removed.version_id;
    EXPECT_EQ(version.is_delete_marker, is_marker);
    EXPECT_EQ(version.is_latest, is_marker);
  }
  const VersionId oldest = TypeParam::reads_null_versions ? VersionId("null") : page.versions.back().version_id;
  const std::vector<VersionId> newest_first{removed.version_id, two, one, oldest};
  if (TypeParam::lists_markers_among_versions) {
    EXPECT_EQ(listed, newest_first);
  } else {
    EXPECT_THAT(listed, ::testing::UnorderedElementsAreArray(newest_first));
  }
  EXPECT_THAT(this->keys(), ::testing::IsEmpty());

  const bool was_marker = this->store().remove(this->at("k"), removed.version_id).delete_marker;
  EXPECT_EQ(was_marker, TypeParam::tells_removed_markers);
  EXPECT_EQ(this->get("k"), "two");
  this->store().remove(this->at("k"), two);
  EXPECT_EQ(this->get("k"), "one");
  EXPECT_FALSE(this->store().head(this->at("k"), {two, {}}));
  EXPECT_EQ(error_of([&] { this->get("k", std::nullopt, {two, {}}); }).kind(), ErrorKind::not_found);
}

TYPED_TEST_P(ObjectStoreSuite, WritesNullVersionsWhileSuspended) {
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  const VersionId kept = this->put("k", "kept").version_id;
  this->store().set_versioning(this->bucket_, store::Versioning::suspended);
  if (!TypeParam::keeps_null_versions) GTEST_SKIP() << "the server keeps no null version";
  this->put("k", "null 1");
  const VersionId second = this->put("k", "null 2").version_id;
  EXPECT_EQ(second.str(), TypeParam::tells_null_versions ? "null" : "");
  EXPECT_EQ(this->store().list_versions(this->bucket_, {}).versions.size(), 2u);
  EXPECT_TRUE(this->store().remove(this->at("k")).delete_marker);  // replaces the null version
  EXPECT_EQ(this->store().list_versions(this->bucket_, {}).versions.size(), 2u);
  EXPECT_EQ(this->get("k", std::nullopt, {kept, {}}), "kept");
  this->store().remove(this->at("k"), VersionId("null"));
  EXPECT_EQ(this->get("k"), "kept");
}

TYPED_TEST_P(ObjectStoreSuite, PagesThroughVersions) {
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  std::vector<std::string> expected;
  for (const char* key : {"a", "b", "c"}) {
    std::vector<std::string> versions;
    for (int i = 0; i < 3; ++i) versions.push_back(this->put(key, std::to_string(i)).version_id.str());
    for (auto version = versions.rbegin(); version != versions.rend(); ++version)
      expected.push_back(key + (":" + *version));
  }
  store::ListRequest request;
  request.max_keys = 2;
  std::vector<std::string> found;
  do {
    const auto page = this->store().list_versions(this->bucket_, request);
    EXPECT_LE(page.versions.size(), 2u);
    for (const auto& version : page.versions) found.push_back(version.key.str() + ":" + version.version_id.str());
    request.continuation = page.next;
  } while (!request.continuation.empty());
  EXPECT_EQ(found, expected);
}

// Listing

TYPED_TEST_P(ObjectStoreSuite, ListsInBytewiseOrder) {
  for (const char* key : {"b", "a/1", "a", "B", "ä", "a!", "a/0", "a0"}) this->put(key, key);
  EXPECT_THAT(this->keys(), ::testing::ElementsAre("B", "a", "a!", "a/0", "a/1", "a0", "b", "ä"));
  store::ListRequest request;
  request.prefix = "a/";
  EXPECT_THAT(this->keys(request), ::testing::ElementsAre("a/0", "a/1"));
  request = {};
  request.start_after = "a/0";
  EXPECT_THAT(this->keys(request), ::testing::ElementsAre("a/1", "a0", "b", "ä"));
  request.prefix = "a/";
  EXPECT_THAT(this->keys(request), ::testing::ElementsAre("a/1"));
  request.prefix = "nothing";
  EXPECT_THAT(this->keys(request), ::testing::IsEmpty());
}

TYPED_TEST_P(ObjectStoreSuite, RollsUpCommonPrefixes) {
  for (const char* key : {"a", "b/1", "b/2", "b/c/3", "d", "e/", "f//x"}) this->put(key, key);
  store::ListRequest request;
  request.delimiter = "/";
  auto page = this->store().list(this->bucket_, request);
  EXPECT_THAT(page.common_prefixes, ::testing::ElementsAre("b/", "e/", "f/"));
  EXPECT_EQ(page.objects.size(), 2u);
  request.prefix = "b/";
  page = this->store().list(this->bucket_, request);
  EXPECT_THAT(page.common_prefixes, ::testing::ElementsAre("b/c/"));
  EXPECT_EQ(page.objects.size(), 2u);
}

TYPED_TEST_P(ObjectStoreSuite, PagesThroughKeysAndPrefixes) {
  for (int i = 0; i < 9; ++i) {
    this->put("k" + std::to_string(i), "x");
    this->put("p" + std::to_string(i) + "/1", "x");
    this->put("p" + std::to_string(i) + "/2", "x");
  }
  for (const std::uint32_t size : {1u, 2u, 5u, 9u, 18u, 19u}) {
    store::ListRequest request;
    request.delimiter = "/";
    request.max_keys = size;
    std::size_t objects = 0, prefixes = 0, pages = 0;
    do {
      const auto page = this->store().list(this->bucket_, request);
      EXPECT_LE(page.objects.size() + page.common_prefixes.size(), size);
      objects += page.objects.size();
      prefixes += page.common_prefixes.size();
      request.continuation = page.next;
    } while (!request.continuation.empty() && ++pages < 100);
    EXPECT_EQ(objects, 9u);
    EXPECT_EQ(prefixes, 9u);
  }
}

// Copies

TYPED_TEST_P(ObjectStoreSuite, CopiesObjects) {
  store::ObjectAttributes attributes;
  attributes.headers.content_type = "text/plain";
  attributes.metadata = {{"m", "1"}};
  if (TypeParam::has_tags) attributes.tags = {{"t", "1"}};
  if (TypeParam::has_storage_classes) attributes.storage_class = "STANDARD_IA";
  const std::string content = this->bytes(200'000);
  const ETag etag = this->put("from", content, attributes).etag;
  EXPECT_EQ(this->store().copy({this->at("from"), {}, etag}, this->at("to")).etag, etag);
  EXPECT_EQ(this->get("to"), content);
  auto info = this->store().head(this->at("to"));
  EXPECT_EQ(info->headers.content_type, "text/plain");
  EXPECT_EQ(info->metadata, attributes.metadata);
  EXPECT_EQ(info->storage_class, "STANDARD");
  if (TypeParam::has_tags) {
    EXPECT_EQ(this->store().get_tags(this->at("to")), attributes.tags);
  }

  store::ObjectAttributes others;
  others.metadata = {{"m", "2"}};
  this->store().copy({this->at("from"), {}, {}}, this->at("to"), others);
  info = this->store().head(this->at("to"));
  EXPECT_EQ(info->metadata, others.metadata);
  EXPECT_EQ(info->tag_count, 0u);
  if (!TypeParam::has_tags) return;
  others.tags = {{"other", "a b+c=/@"}};
  this->store().copy({this->at("from"), {}, {}}, this->at("to"), others);
  EXPECT_EQ(this->store().get_tags(this->at("to")), others.tags);
}

TYPED_TEST_P(ObjectStoreSuite, RefusesCopiesThatCannotBe) {
  this->put("k", "x");
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", this->store().copy({this->at("k"), {}, {}}, this->at("k")));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", this->store().copy({this->at("none"), {}, {}}, this->at("to")));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().copy({this->at("k"), {}, ETag("other")}, this->at("to")));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().copy({this->at("k"), {}, {}}, this->at("k"), store::ObjectAttributes(), {true, {}}));
  EXPECT_FALSE(this->store().head(this->at("to")));
  if (!TypeParam::has_storage_classes) return;
  store::ObjectAttributes changed;
  changed.storage_class = "STANDARD_IA";
  this->store().copy({this->at("k"), {}, {}}, this->at("k"), changed);
  EXPECT_EQ(this->store().head(this->at("k"))->storage_class, "STANDARD_IA");
  EXPECT_EQ(this->get("k"), "x");
}

TYPED_TEST_P(ObjectStoreSuite, ChecksConditionsOfCopies) {
  const ETag source = this->put("from", "new").etag;
  const store::CopySource from{this->at("from"), {}, source};
  const auto copy = [&](const store::WriteConditions& conditions) {
    return this->store().copy(from, this->at("to"), std::nullopt, conditions).etag;
  };
  if (TypeParam::tells_missing_from_changed) {
    EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", copy({.if_match = ETag("0")}));
  } else {
    EXPECT_THROW(copy({.if_match = ETag("0")}), Error);
  }
  copy({.if_none_match = true});
  EXPECT_EQ(this->get("to"), "new");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", copy({.if_none_match = true}));
  const ETag there = this->put("to", "there").etag;
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", copy({.if_match = ETag("0")}));
  EXPECT_EQ(this->get("to"), "there");
  copy({.if_match = there});
  EXPECT_EQ(this->get("to"), "new");
}

TYPED_TEST_P(ObjectStoreSuite, CopiesAVersion) {
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  const VersionId old = this->put("k", "old").version_id;
  this->put("k", "new");
  this->store().copy({this->at("k"), old, {}}, this->at("k"));
  EXPECT_EQ(this->get("k"), "old");
}

// Tags

TYPED_TEST_P(ObjectStoreSuite, ReplacesTags) {
  if (!TypeParam::has_tags) GTEST_SKIP() << "the server has no tags";
  this->put("k", "x");
  EXPECT_THAT(this->store().get_tags(this->at("k")), ::testing::IsEmpty());
  this->store().set_tags(this->at("k"), {{"a", "1"}, {"b", ""}});
  this->store().set_tags(this->at("k"), {{"c", "ü"}});
  EXPECT_EQ(this->store().get_tags(this->at("k")), (store::Tags{{"c", "ü"}}));
  EXPECT_EQ(this->store().head(this->at("k"))->tag_count, 1u);
  EXPECT_EQ(error_of([&] { this->store().get_tags(this->at("none")); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { this->store().set_tags(this->at("none"), {}); }).kind(), ErrorKind::not_found);
}

// Multipart

TYPED_TEST_P(ObjectStoreSuite, PutsPartsTogether) {
  const std::string a = this->bytes(5 << 20, 1), b = this->bytes(5 << 20, 2), c = this->bytes(77, 3);
  store::ObjectAttributes attributes;
  attributes.metadata = {{"m", "1"}};
  if (TypeParam::has_tags) attributes.tags = {{"t", "1"}};
  const auto result = this->put_parts("k", {a, b, c}, attributes);
  std::string digests;
  for (const std::string& part : {a, b, c}) {
    const Md5Digest digest = Md5::of(as_bytes(part));
    digests += as_text(digest);
  }
  EXPECT_EQ(result.etag.str(), this->md5(digests) + "-3");
  EXPECT_EQ(this->get("k"), a + b + c);
  EXPECT_EQ(this->get("k", store::ByteRange::at((5 << 20) - 2, 4)), a.substr(a.size() - 2) + b.substr(0, 2));
  const auto info = this->store().head(this->at("k"));
  EXPECT_EQ(info->size, a.size() + b.size() + c.size());
  EXPECT_EQ(info->metadata, attributes.metadata);
  EXPECT_EQ(info->tag_count, attributes.tags.size());
  EXPECT_EQ(info->part_bytes, TypeParam::tells_part_bytes ? a.size() : 0u);
  if (TypeParam::has_tags) {
    EXPECT_EQ(this->store().get_tags(this->at("k")), attributes.tags);
  }
  EXPECT_THAT(this->store().list_uploads(this->bucket_), ::testing::IsEmpty());
}

TYPED_TEST_P(ObjectStoreSuite, TellsTheSizeOfPartsThatAreAlike) {
  if (!TypeParam::tells_part_bytes) GTEST_SKIP() << "the server does not tell";
  const std::string a = this->bytes(5 << 20, 1), longer = this->bytes((5 << 20) + 1, 2);
  const auto part_bytes = [&](const char* key) { return this->store().head(this->at(key))->part_bytes; };
  this->put_parts("like", {a, a});
  EXPECT_EQ(part_bytes("like"), a.size());
  EXPECT_EQ(this->store().get(this->at("like"))->info().part_bytes, a.size());
  this->put_parts("unlike", {a, longer, a});
  EXPECT_EQ(part_bytes("unlike"), 0u);
  this->put_parts("longer-last", {a, longer});
  EXPECT_EQ(part_bytes("longer-last"), 0u);
  this->put("whole", "x");
  EXPECT_EQ(part_bytes("whole"), 0u);
  this->store().copy({this->at("like"), {}, {}}, this->at("copy"));
  EXPECT_EQ(part_bytes("copy"), 0u) << "a copy is one part";
}

TYPED_TEST_P(ObjectStoreSuite, TellsEvidence) {
  this->put("one", this->bytes(1000, 1));
  this->put_parts("parts", {this->bytes(5 << 20, 1), this->bytes(1000, 2)});
  for (const std::string key : {"one", "parts"})
    EXPECT_EQ(is_checked(this->store(), this->at(key)), key != "parts" || TypeParam::tells_part_bytes_when_asked)
        << key;
}

TYPED_TEST_P(ObjectStoreSuite, TakesAnUploadOfOnePart) {
  const std::string content = this->bytes(1000);
  const Md5Digest digest = Md5::of(as_bytes(content));
  EXPECT_EQ(this->put_parts("k", {content}).etag.str(), this->md5(as_text(digest)) + "-1");
  EXPECT_EQ(this->get("k"), content);
  // A copy of it has one part, and an ETag that is an MD5.
  const ETag copied = this->store().copy({this->at("k"), {}, {}}, this->at("copy")).etag;
  if (TypeParam::gives_copies_own_tags) {
    EXPECT_EQ(copied.str(), this->md5(content));
  }
  EXPECT_EQ(this->get("copy"), content);
}

TYPED_TEST_P(ObjectStoreSuite, TakesPartsInAnyOrderAndAgain) {
  const std::string a = this->bytes(5 << 20, 1), b = this->bytes((5 << 20) + 1, 2), c = this->bytes(5, 3);
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  const auto send = [&](std::uint32_t number, const std::string& part) {
    return store::UploadedPart{number, this->upload_part(this->at("k"), upload, number, part), part.size()};
  };
  const auto last = send(9, c);
  send(2, a);
  if (TypeParam::leaves_out_parts) send(5, c);  // not used
  const auto second = send(7, b);
  send(2, b);
  const auto first = send(2, a);
  const auto listed = this->store().list_parts(this->at("k"), upload);
  ASSERT_EQ(listed.size(), TypeParam::leaves_out_parts ? 4u : 3u);
  EXPECT_EQ(listed[0].number, 2u);
  EXPECT_EQ(listed[0].size, a.size());
  EXPECT_EQ(listed[0].etag, first.etag);
  this->store().complete_upload(this->at("k"), upload, {first, second, last});
  EXPECT_EQ(this->get("k"), a + b + c);
}

TYPED_TEST_P(ObjectStoreSuite, TakesTheLastPartFirst) {
  const std::string a = this->bytes(5 << 20, 1), b = this->bytes(5 << 20, 2), c = this->bytes(5, 3);
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  const store::UploadedPart third{3, this->upload_part(this->at("k"), upload, 3, c), c.size()};
  const store::UploadedPart second{2, this->upload_part(this->at("k"), upload, 2, b), b.size()};
  const store::UploadedPart first{1, this->upload_part(this->at("k"), upload, 1, a), a.size()};
  this->store().complete_upload(this->at("k"), upload, {first, second, third});
  EXPECT_EQ(this->get("k"), a + b + c);
}

TYPED_TEST_P(ObjectStoreSuite, LeavesOutPartsThatAreNotListed) {
  if (!TypeParam::leaves_out_parts) GTEST_SKIP() << "the server wants every part listed";
  const std::string a = this->bytes(5 << 20, 1), b = this->bytes(5 << 20, 2);
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  const store::UploadedPart first{1, this->upload_part(this->at("k"), upload, 1, a), a.size()};
  this->upload_part(this->at("k"), upload, 2, b);
  this->store().complete_upload(this->at("k"), upload, {first});
  EXPECT_EQ(this->get("k"), a);
}

TYPED_TEST_P(ObjectStoreSuite, TakesConcurrentParts) {
  constexpr std::uint32_t count = 6;
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  std::vector<store::UploadedPart> parts(count);
  std::vector<std::string> contents;
  for (std::uint32_t i = 0; i < count; ++i) contents.push_back(this->bytes(i + 1 < count ? 5 << 20 : 99, i + 1));
  {
    std::vector<std::jthread> writers;
    for (std::uint32_t i = 0; i < count; ++i) {
      writers.emplace_back([&, i] {
        parts[i] = {i + 1, this->upload_part(this->at("k"), upload, i + 1, contents[i]), contents[i].size()};
      });
    }
  }
  this->store().complete_upload(this->at("k"), upload, parts);
  std::string expected;
  for (const std::string& content : contents) expected += content;
  EXPECT_EQ(this->get("k"), expected);
}

TYPED_TEST_P(ObjectStoreSuite, RefusesPartsThatDoNotFit) {
  const std::string small = this->bytes(100), large = this->bytes(5 << 20);
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  const store::UploadedPart one{1, this->upload_part(this->at("k"), upload, 1, small), 100};
  const store::UploadedPart two{2, this->upload_part(this->at("k"), upload, 2, large), large.size()};
  const auto complete = [&](const std::vector<store::UploadedPart>& parts) {
    this->store().complete_upload(this->at("k"), upload, parts);
  };
  EXPECT_ERROR(ErrorKind::invalid, "EntityTooSmall", complete({one, two}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidPartOrder", complete({two, one}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidPart", complete({{1, ETag(this->md5("other")), 100}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidPart", complete({{3, one.etag, 100}}));
  EXPECT_EQ(error_of([&] { complete({}); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { this->upload_part(this->at("k"), upload, 0, small); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { this->upload_part(this->at("k"), upload, 10'001, small); }).kind(), ErrorKind::invalid);
  if (!TypeParam::leaves_out_parts) return;
  complete({one});  // the upload is as good as before
  EXPECT_EQ(this->get("k"), small);
}

// Digests that the writer knows

TYPED_TEST_P(ObjectStoreSuite, TakesBodiesWhoseDigestsAreKnown) {
  const std::string content = this->bytes(300'000);
  store::BodyDigests md5, sha256, compared, all;
  all.md5 = md5.md5 = Md5::of(as_bytes(content));
  all.sha256 = sha256.sha256 = Sha256::of(as_bytes(content));
  all.response_is_compared = compared.response_is_compared = true;
  all.checksum = this->checksum_of(store::Checksum::Algorithm::crc64nvme, content).checksum;
  for (const store::BodyDigests& digests : {md5, sha256, compared, all}) {
    const auto written = this->put_with("known", content, digests);
    EXPECT_EQ(written.etag, ETag(this->md5(content)));
    EXPECT_EQ(this->get("known"), content);
    const UploadId upload =
        this->begin("parts", digests.checksum ? std::optional(digests.checksum->algorithm) : std::nullopt);
    const ETag part = this->upload_part_with("parts", upload, 1, content, digests);
    EXPECT_EQ(part, ETag(this->md5(content)));
    this->store().complete_upload(this->at("parts"), upload, {{1, part, content.size(), digests.checksum}});
    EXPECT_EQ(this->get("parts"), content);
  }
}

TYPED_TEST_P(ObjectStoreSuite, RefusesBodiesThatHaveOtherDigests) {
  const UploadId upload = this->begin("parts", std::nullopt);
  const auto refuses = [&](const store::BodyDigests& digests, const char* code) {
    EXPECT_ERROR(ErrorKind::corrupt, code, this->put_with("other", "content", digests));
    EXPECT_FALSE(this->store().head(this->at("other")));
    EXPECT_ERROR(ErrorKind::corrupt, code, this->upload_part_with("parts", upload, 1, "content", digests));
    EXPECT_TRUE(this->store().list_parts(this->at("parts"), upload).empty());
  };
  if constexpr (TypeParam::checks_body_digests) {
    store::BodyDigests digests;
    digests.md5 = Md5::of(as_bytes("another"));
    refuses(digests, "BadDigest");
  }
  if constexpr (TypeParam::checks_signed_digests) {
    store::BodyDigests digests;
    digests.sha256 = Sha256::of(as_bytes("another"));
    refuses(digests, TypeParam::names_signed_digests ? "XAmzContentSHA256Mismatch" : "BadDigest");
  }
  if constexpr (TypeParam::keeps_checksums) {
    EXPECT_ERROR(ErrorKind::corrupt, "BadDigest",
                 this->put_with("other", "content", this->checksum_of(store::Checksum::Algorithm::crc32c, "another")));
    EXPECT_FALSE(this->store().head(this->at("other")));
  }
  this->store().abort_upload(this->at("parts"), upload);
}

TYPED_TEST_P(ObjectStoreSuite, KeepsTheChecksumOfAnObject) {
  using Algorithm = store::Checksum::Algorithm;
  for (const Algorithm algorithm :
       {Algorithm::crc64nvme, Algorithm::crc32c, Algorithm::crc32, Algorithm::sha256, Algorithm::sha1}) {
    const auto digests = this->checksum_of(algorithm, "content");
    this->put_with("kept", "content", digests);
    EXPECT_EQ(this->get("kept"), "content");
    if constexpr (TypeParam::keeps_checksums) {
      EXPECT_EQ(this->checksum_told_of("kept"), digests.checksum);
      this->expect_listed_checksum("kept", algorithm);
      this->store().copy({this->at("kept"), {}, {}}, this->at("copy"));
      EXPECT_EQ(this->checksum_told_of("copy"), digests.checksum) << "survives a copy";
    }
  }
}

TYPED_TEST_P(ObjectStoreSuite, KeepsTheChecksumOfAnUploadInParts) {
  using Algorithm = store::Checksum::Algorithm;
  const std::string first = this->bytes(store::min_part_bytes, 1), second = this->bytes(1000, 2);
  for (const Algorithm algorithm : {Algorithm::crc64nvme, Algorithm::crc32c, Algorithm::crc32}) {
    const UploadId upload = this->begin("whole", algorithm);
    const auto of_first = this->checksum_of(algorithm, first), of_second = this->checksum_of(algorithm, second);
    const ETag second_etag = this->upload_part_with("whole", upload, 2, second, of_second);
    const ETag first_etag = this->upload_part_with("whole", upload, 1, first, of_first);
    std::vector<store::UploadedPart> parts = this->store().list_parts(this->at("whole"), upload);
    ASSERT_EQ(parts.size(), 2U);
    if constexpr (TypeParam::keeps_checksums) {
      EXPECT_EQ(parts[0].checksum, of_first.checksum);
      EXPECT_EQ(parts[1].checksum, of_second.checksum);
    }
    const auto of_all = this->checksum_of(algorithm, first + second).checksum;
    const store::WriteConditions conditions{.size = first.size() + second.size(), .checksum = of_all};
    this->store().complete_upload(
        this->at("whole"), upload,
        {{1, first_etag, first.size(), of_first.checksum}, {2, second_etag, second.size(), of_second.checksum}},
        conditions);
    EXPECT_EQ(this->get("whole"), first + second);
    if constexpr (TypeParam::keeps_checksums) {
      EXPECT_EQ(this->checksum_told_of("whole"), of_all);
      this->expect_listed_checksum("whole", algorithm);
    }
  }
}

TYPED_TEST_P(ObjectStoreSuite, KeepsTheChecksumsOfPartsThatDoNotJoin) {
  using Algorithm = store::Checksum::Algorithm;
  const std::string content = "content";
  const auto digests = this->checksum_of(Algorithm::sha256, content);
  const UploadId upload = this->begin("sha", Algorithm::sha256);
  const ETag etag = this->upload_part_with("sha", upload, 1, content, digests);
  if constexpr (TypeParam::keeps_checksums) {
    EXPECT_EQ(this->store().list_parts(this->at("sha"), upload).at(0).checksum, digests.checksum);
    EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest",
                 this->store().complete_upload(this->at("sha"), upload, {{1, etag, content.size()}}));
  }
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest",
               this->store().complete_upload(this->at("sha"), upload, {{1, etag, content.size(), digests.checksum}},
                                             {.checksum = digests.checksum}));
  this->store().complete_upload(this->at("sha"), upload, {{1, etag, content.size(), digests.checksum}});
  EXPECT_EQ(this->get("sha"), content);
  EXPECT_EQ(this->checksum_told_of("sha"), std::nullopt) << "it is one of checksums";
}

TYPED_TEST_P(ObjectStoreSuite, RefusesChecksumsThatDoNotFit) {
  using Algorithm = store::Checksum::Algorithm;
  const std::string content = "content";
  const auto right = this->checksum_of(Algorithm::crc64nvme, content),
             wrong = this->checksum_of(Algorithm::crc64nvme, "another"),
             other = this->checksum_of(Algorithm::crc32, content);
  const ObjectAddress object = this->at("fit");
  const UploadId upload = this->begin("fit", Algorithm::crc64nvme);
  if constexpr (TypeParam::keeps_checksums) {
    EXPECT_ERROR(ErrorKind::corrupt, "BadDigest", this->upload_part_with("fit", upload, 1, content, wrong));
    EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", this->upload_part_with("fit", upload, 1, content, other));
    EXPECT_TRUE(this->store().list_parts(object, upload).empty());
  }
  const ETag etag = this->upload_part_with("fit", upload, 1, content, right);
  const std::vector<store::UploadedPart> parts{{1, etag, content.size(), right.checksum}};
  if constexpr (TypeParam::checks_upload_size) {
    EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest",
                 this->store().complete_upload(object, upload, parts, {.size = content.size() + 1}));
  }
  if constexpr (TypeParam::keeps_checksums) {
    EXPECT_ERROR(ErrorKind::invalid, "InvalidPart",
                 this->store().complete_upload(object, upload, {{1, etag, content.size(), wrong.checksum}}));
    EXPECT_ERROR(ErrorKind::corrupt, "BadDigest",
                 this->store().complete_upload(object, upload, parts, {.checksum = wrong.checksum}));
    EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest",
                 this->store().complete_upload(object, upload, parts, {.checksum = other.checksum}));
    const UploadId plain = this->begin("plain", std::nullopt);
    EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", this->upload_part_with("plain", plain, 1, content, right));
    this->store().abort_upload(this->at("plain"), plain);
  }
  EXPECT_FALSE(this->store().head(object));
  this->store().complete_upload(object, upload, parts, {.size = content.size(), .checksum = right.checksum});
  EXPECT_EQ(this->get("fit"), content);
}

TYPED_TEST_P(ObjectStoreSuite, TakesAnEncryption) {
  store::ObjectAttributes attributes;
  attributes.encryption = "rot13";
  EXPECT_ERROR(ErrorKind::invalid, "InvalidEncryptionAlgorithmError", this->put("e", "content", attributes));
  attributes.encryption = "AES256";
  if constexpr (TypeParam::takes_encryption) {
    this->put("e", "content", attributes);
    EXPECT_EQ(this->get("e"), "content");
    this->put_parts("p", {"content"}, attributes);
    EXPECT_EQ(this->get("p"), "content");
  } else {
    EXPECT_THROW(this->put("e", "content", attributes), Error);
  }
}

TYPED_TEST_P(ObjectStoreSuite, ForgetsAbortedUploads) {
  const UploadId upload = this->store().create_upload(this->at("p/k"), {});
  this->upload_part(this->at("p/k"), upload, 1, "x");
  const auto listed = this->store().list_uploads(this->bucket_, "p/");
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].key.str(), "p/k");
  EXPECT_EQ(listed[0].upload_id, upload);
  EXPECT_THAT(this->store().list_uploads(this->bucket_, "q/"), ::testing::IsEmpty());
  this->store().abort_upload(this->at("p/k"), upload);
  this->store().abort_upload(this->at("p/k"), upload);  // no error
  EXPECT_THAT(this->store().list_uploads(this->bucket_), ::testing::IsEmpty());
  if (TypeParam::knows_ended_uploads) {
    EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", this->upload_part(this->at("p/k"), upload, 2, "x"));
  }
  const Error error = error_of([&] { this->store().list_parts(this->at("p/k"), upload); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  if (TypeParam::has_s3_codes) {
    EXPECT_EQ(error.code(), "NoSuchUpload");
  }
}

TYPED_TEST_P(ObjectStoreSuite, CompletesOnCondition) {
  this->put("k", "there");
  const UploadId upload = this->store().create_upload(this->at("k"), {});
  const store::UploadedPart part{1, this->upload_part(this->at("k"), upload, 1, "new"), 3};
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               this->store().complete_upload(this->at("k"), upload, {part}, {true, {}}));
  EXPECT_EQ(this->get("k"), "there");
  if (!TypeParam::checks_if_match_of_uploads) return;
  this->store().complete_upload(this->at("k"), upload, {part}, {false, ETag(this->md5("there"))});
  EXPECT_EQ(this->get("k"), "new");
}

TYPED_TEST_P(ObjectStoreSuite, CopiesParts) {
  const std::string content = this->bytes(11 << 20);
  this->put("from", content);
  const UploadId upload = this->store().create_upload(this->at("to"), {});
  const store::CopySource source{this->at("from"), {}, {}};
  const ETag one = this->store().upload_part_copy(this->at("to"), upload, 1, source, store::ByteRange::at(3, 6 << 20));
  EXPECT_EQ(one.str(), this->md5(std::string_view(content).substr(3, 6 << 20)));
  const ETag two = this->store().upload_part_copy(this->at("to"), upload, 2, source, std::nullopt);
  if (TypeParam::checks_ranges_of_part_copies) {
    const auto beyond = store::ByteRange::at(1, 11 << 20);
    const Error error = error_of([&] { this->store().upload_part_copy(this->at("to"), upload, 3, source, beyond); });
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    if (TypeParam::has_s3_codes) {
      EXPECT_EQ(error.code(), "InvalidArgument");
    }
  }
  this->store().complete_upload(this->at("to"), upload, {{1, one, 0}, {2, two, 0}});
  EXPECT_EQ(this->get("to"), content.substr(3, 6 << 20) + content);
}

// Archive storage classes

TYPED_TEST_P(ObjectStoreSuite, KeepsArchivedObjectsShutUntilRestored) {
  if (!TypeParam::checks_archive_state) GTEST_SKIP() << "the server does not shut them";
  for (const char* storage_class : {"GLACIER", "DEEP_ARCHIVE"}) {
    store::ObjectAttributes attributes;
    attributes.storage_class = storage_class;
    this->put("k", "cold", attributes);
    EXPECT_ERROR(ErrorKind::denied, "InvalidObjectState", this->store().get(this->at("k")));
    EXPECT_ERROR(ErrorKind::denied, "InvalidObjectState", this->store().copy({this->at("k"), {}, {}}, this->at("to")));
    EXPECT_EQ(this->store().head(this->at("k"))->storage_class, storage_class);
    EXPECT_TRUE(this->store().head(this->at("k"))->restore.empty());
    this->store().restore(this->at("k"), 2, "Bulk");
    const auto info = this->store().head(this->at("k"));
    EXPECT_THAT(info->restore, ::testing::StartsWith("ongoing-request=\"false\", expiry-date=\""));
    EXPECT_EQ(info->storage_class, storage_class);
    EXPECT_EQ(this->get("k"), "cold");
    if (TypeParam::lists_restores) this->expect_listed_restore("k");
    this->store().copy({this->at("k"), {}, {}}, this->at("to"));
    if (!this->kind_.advance(std::chrono::hours(24 * 4))) continue;
    EXPECT_ERROR(ErrorKind::denied, "InvalidObjectState", this->store().get(this->at("k")));
    EXPECT_TRUE(this->store().head(this->at("k"))->restore.empty());
    EXPECT_FALSE(this->store().list(this->bucket_, {.with_restore_status = true}).objects.at(0).restore);
  }
  this->put("warm", "x");
  EXPECT_ERROR(ErrorKind::denied, "InvalidObjectState", this->store().restore(this->at("warm"), 1, "Standard"));
}

TYPED_TEST_P(ObjectStoreSuite, ReadsEveryOtherStorageClass) {
  for (const std::string storage_class :
       {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}) {
    if (storage_class != "STANDARD" && !TypeParam::has_storage_classes) continue;
    if (storage_class == "REDUCED_REDUNDANCY" && !TypeParam::has_reduced_redundancy) continue;
    store::ObjectAttributes attributes;
    attributes.storage_class = storage_class;
    this->put("k", storage_class, attributes);
    EXPECT_EQ(this->get("k"), storage_class);
    EXPECT_EQ(this->store().list(this->bucket_, {}).objects.at(0).storage_class, storage_class);
  }
}

// Notifications

TYPED_TEST_P(ObjectStoreSuite, SendsEvents) {
  if (!TypeParam::has_notifications) GTEST_SKIP() << "the server sends no events to queues of this kind";
  const QueueName queue("events");
  this->kind_.queues().create(queue, {});
  this->store().set_notifications(
      this->bucket_, {{"rule-1", queue.str(), {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}, "in/", ".txt"}});
  ASSERT_EQ(this->store().get_notifications(this->bucket_).size(), 1u);
  EXPECT_EQ(this->store().get_notifications(this->bucket_)[0].id, "rule-1");
  const auto take = [&] {
    std::vector<nlohmann::json> bodies;
    for (auto& message : this->kind_.queues().receive(queue, 10, Milliseconds(0), {})) {
      bodies.push_back(nlohmann::json::parse(message.body));
      this->kind_.queues().remove(queue, {message.receipt});
    }
    return bodies;
  };
  const auto test = take();
  ASSERT_EQ(test.size(), 1u);
  EXPECT_EQ(test[0].at("Event"), "s3:TestEvent");
  EXPECT_EQ(test[0].at("Bucket"), this->bucket_.str());

  this->put("in/a b+ü.txt", "12345");
  this->put("in/other", "x");
  this->put("out/a.txt", "x");
  this->store().copy({this->at("out/a.txt"), {}, {}}, this->at("in/copy.txt"));
  this->put_parts("in/parts.txt", {"123"});
  this->store().remove(this->at("in/copy.txt"));
  const auto events = take();
  ASSERT_EQ(events.size(), 4u);
  std::map<std::string, nlohmann::json> by_name;
  for (const auto& event : events) by_name[event.at("Records").at(0).at("eventName")] = event.at("Records").at(0);
  const auto& put = by_name.at("ObjectCreated:Put");
  EXPECT_EQ(put.at("eventSource"), "aws:s3");
  EXPECT_EQ(put.at("s3").at("configurationId"), "rule-1");
  EXPECT_EQ(put.at("s3").at("bucket").at("name"), this->bucket_.str());
  EXPECT_EQ(put.at("s3").at("bucket").at("arn"), "arn:aws:s3:::" + this->bucket_.str());
  EXPECT_EQ(put.at("s3").at("object").at("key"), "in/a+b%2B%C3%BC.txt");
  EXPECT_EQ(put.at("s3").at("object").at("size"), 5);
  EXPECT_EQ(put.at("s3").at("object").at("eTag"), this->md5("12345"));
  EXPECT_FALSE(put.at("s3").at("object").contains("versionId"));
  EXPECT_TRUE(by_name.contains("ObjectCreated:Copy"));
  EXPECT_TRUE(by_name.contains("ObjectCreated:CompleteMultipartUpload"));
  const auto& removed = by_name.at("ObjectRemoved:Delete");
  EXPECT_GT(removed.at("s3").at("object").at("sequencer").template get<std::string>(),
            by_name.at("ObjectCreated:Copy").at("s3").at("object").at("sequencer").template get<std::string>());
}

TYPED_TEST_P(ObjectStoreSuite, SendsVersionsInEvents) {
  if (!TypeParam::has_notifications) GTEST_SKIP() << "the server sends no events to queues of this kind";
  const QueueName queue("events");
  this->kind_.queues().create(queue, {});
  this->store().set_versioning(this->bucket_, store::Versioning::enabled);
  this->store().set_notifications(this->bucket_,
                                  {{"r", queue.str(), {"s3:ObjectRemoved:*", "s3:ObjectCreated:Put"}, "", ""}});
  this->kind_.queues().purge(queue);
  const VersionId version = this->put("k", "x").version_id;
  const VersionId marker = this->store().remove(this->at("k")).version_id;
  this->store().remove(this->at("k"), version);
  std::map<std::string, std::string> versions;
  for (const auto& message : this->kind_.queues().receive(queue, 10, Milliseconds(0), {})) {
    const auto record = nlohmann::json::parse(message.body).at("Records").at(0);
    versions[record.at("eventName")] = record.at("s3").at("object").at("versionId");
  }
  EXPECT_EQ(versions, (std::map<std::string, std::string>{{"ObjectCreated:Put", version.str()},
                                                          {"ObjectRemoved:DeleteMarkerCreated", marker.str()},
                                                          {"ObjectRemoved:Delete", version.str()}}));
}

TYPED_TEST_P(ObjectStoreSuite, RefusesRulesThatS3Refuses) {
  if (!TypeParam::has_notifications) GTEST_SKIP() << "the server sends no events to queues of this kind";
  this->kind_.queues().create(QueueName("events"), {});
  const std::vector<std::string> created = {"s3:ObjectCreated:*"}, put = {"s3:ObjectCreated:Put"};
  const auto set = [&](const std::vector<store::NotificationRule>& rules) {
    this->store().set_notifications(this->bucket_, rules);
  };
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", set({{"1", "none", created, "", ""}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", set({{"1", "events", {"s3:Nonsense"}, "", ""}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument",
               set({{"1", "events", created, "a", ""}, {"2", "events", put, "ab", ""}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument",
               set({{"1", "events", created, "", "t"}, {"2", "events", put, "", "txt"}}));
  EXPECT_THAT(this->store().get_notifications(this->bucket_), ::testing::IsEmpty());
  set({{"1", "events", created, "a", ""}, {"2", "events", put, "b", ""}});
  set({{"1", "events", created, "a", ".jpg"}, {"2", "events", put, "ab", ".png"}});
  set({{"1", "events", created, "", ""}, {"2", "events", {"s3:ObjectRemoved:*"}, "", ""}});
  set({});
}

REGISTER_TYPED_TEST_SUITE_P(
    ObjectStoreSuite, MakesAndRemovesBuckets, RefusesIllegalBucketNames, KeepsABucketThatIsNotEmpty,
    SaysWhichBucketIsMissing, GivesBackWhatWasPut, GivesBackZeros, PullsBodiesOfManyPieces, TellsABodyWhatIsSentOfIt,
    KeepsAllAttributes, TakesEveryLegalKey, RefusesWhatS3Refuses, CountsTagCharactersNotBytes, ReadsRanges,
    ChecksConditionsOfReads, ChecksConditionsOfWrites, ChecksConditionsOfWritesWhereVersionsAreKept,
    LetsOneOfManyConditionalWritersWinWhereVersionsAreKept, LetsOneOfManyConditionalWritersWin, RemovesObjects,
    ChecksConditionsOfDeletions, RemovesManyObjects, RemovesAThousandAtOnce, RemovesManyVersions,
    KeepsAnOpenStreamConsistent, KeepsVersionsAndDeleteMarkers, WritesNullVersionsWhileSuspended, PagesThroughVersions,
    ListsInBytewiseOrder, RollsUpCommonPrefixes, PagesThroughKeysAndPrefixes, CopiesObjects, RefusesCopiesThatCannotBe,
    ChecksConditionsOfCopies, CopiesAVersion, ReplacesTags, PutsPartsTogether, TellsTheSizeOfPartsThatAreAlike,
    TellsEvidence, TakesAnUploadOfOnePart, TakesPartsInAnyOrderAndAgain, TakesTheLastPartFirst,
    LeavesOutPartsThatAreNotListed, TakesConcurrentParts, RefusesPartsThatDoNotFit, TakesBodiesWhoseDigestsAreKnown,
    RefusesBodiesThatHaveOtherDigests, KeepsTheChecksumOfAnObject, KeepsTheChecksumOfAnUploadInParts,
    KeepsTheChecksumsOfPartsThatDoNotJoin, RefusesChecksumsThatDoNotFit, TakesAnEncryption, ForgetsAbortedUploads,
    CompletesOnCondition, CopiesParts, KeepsArchivedObjectsShutUntilRestored, ReadsEveryOtherStorageClass, SendsEvents,
    SendsVersionsInEvents, RefusesRulesThatS3Refuses);

}  // namespace bale::testing
