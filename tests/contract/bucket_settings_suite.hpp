// What every BucketSettings must do: the documented behaviour of S3.
//
// A kind is a class with
//   store::BucketSettings& settings();           // of one region, the same for the life of the kind
//   store::ObjectStore& store();                 // of the same region
//   BucketName bucket(const std::string& name);  // a bucket of its own for each name, made
// It is an AsS3Settings, and replaces there what it does otherwise. Only the assertions about that are left out for it;
// docs/testing.md says what each deviation means for Bale.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "contract/errors.hpp"
#include "store/bucket_settings.hpp"

namespace bale::testing {

/// What S3 does, and some servers do not.
struct AsS3Settings {
  static constexpr bool has_encryption = true;     ///< default encryption of a bucket
  static constexpr bool has_public_access = true;  ///< public access block
  static constexpr bool names_rules = true;        ///< lifecycle rules that have no ID
  /// Objects can be written where public access is blocked.
  static constexpr bool takes_writes_where_acls_are_blocked = true;
  static constexpr bool forgets_tags = true;  ///< with the bucket that had them
};

template <typename Kind>
class BucketSettingsSuite : public ::testing::Test {
 protected:
  store::BucketSettings& settings() { return kind_.settings(); }
  store::LifecycleRule rule(const std::string& id) {
    for (const store::LifecycleRule& each : settings().get_lifecycle(bucket_).rules) {
      if (each.id == id) return each;
    }
    ADD_FAILURE() << "no rule " << id;
    return {};
  }

  Kind kind_;
  BucketName bucket_ = kind_.bucket("settings");
};

TYPED_TEST_SUITE_P(BucketSettingsSuite);

TYPED_TEST_P(BucketSettingsSuite, KeepsTheEncryption) {
  if constexpr (TypeParam::has_encryption) {
    const store::BucketEncryption managed;
    this->settings().set_encryption(this->bucket_, managed);
    EXPECT_EQ(this->settings().get_encryption(this->bucket_), managed);
    const store::BucketEncryption by_key{"aws:kms", "arn:aws:kms:eu-west-1:111122223333:key/k", true};
    this->settings().set_encryption(this->bucket_, by_key);
    EXPECT_EQ(this->settings().get_encryption(this->bucket_), by_key);
  } else {
    EXPECT_THROW(this->settings().set_encryption(this->bucket_, {}), Error);
  }
}

TYPED_TEST_P(BucketSettingsSuite, KeepsThePublicAccessBlock) {
  if constexpr (TypeParam::has_public_access) {
    this->settings().set_public_access_block(this->bucket_, store::PublicAccessBlock::all());
    EXPECT_EQ(this->settings().get_public_access_block(this->bucket_), store::PublicAccessBlock::all());
    const store::PublicAccessBlock some{true, false, false, true};
    this->settings().set_public_access_block(this->bucket_, some);
    EXPECT_EQ(this->settings().get_public_access_block(this->bucket_), some);
  } else {
    EXPECT_THROW(this->settings().set_public_access_block(this->bucket_, {}), Error);
  }
}

TYPED_TEST_P(BucketSettingsSuite, TakesWritesWherePublicAccessIsBlocked) {
  if constexpr (TypeParam::has_public_access) {
    store::PublicAccessBlock block = store::PublicAccessBlock::all();
    block.blocks_acls = TypeParam::takes_writes_where_acls_are_blocked;
    this->settings().set_public_access_block(this->bucket_, block);
    store::MemoryBody body(as_bytes("content"));
    const ObjectAddress object{this->bucket_, ObjectKey("k")};
    this->kind_.store().put(object, body, {});
    EXPECT_EQ(store::read_all(*this->kind_.store().get(object), 100), "content");
  }
}

TYPED_TEST_P(BucketSettingsSuite, KeepsLifecycleRules) {
  EXPECT_TRUE(this->settings().get_lifecycle(this->bucket_).rules.empty());
  store::Lifecycle lifecycle;
  lifecycle.rules.push_back({.id = "uploads", .abort_uploads_days = 7});
  lifecycle.rules.push_back({.id = "old", .is_enabled = false, .prefix = "logs/a&b/", .expire_days = 30});
  lifecycle.rules.push_back(
      {.id = "cold", .is_enabled = false, .prefix = "cold/", .transition_days = 0, .transition_class = "GLACIER"});
  this->settings().set_lifecycle(this->bucket_, lifecycle);
  ASSERT_EQ(this->settings().get_lifecycle(this->bucket_).rules.size(), 3U);
  const store::LifecycleRule uploads = this->rule("uploads"), old = this->rule("old"), cold = this->rule("cold");
  EXPECT_EQ(cold.transition_days, 0U);
  EXPECT_EQ(cold.transition_class, "GLACIER");
  EXPECT_TRUE(uploads.is_enabled);
  EXPECT_EQ(uploads.abort_uploads_days, 7U);
  EXPECT_EQ(uploads.expire_days, std::nullopt);
  EXPECT_EQ(uploads.prefix, "");
  EXPECT_FALSE(uploads.has_other_filter);
  EXPECT_FALSE(old.is_enabled);
  EXPECT_EQ(old.abort_uploads_days, std::nullopt);
  EXPECT_EQ(old.expire_days, 30U);
  EXPECT_EQ(old.prefix, "logs/a&b/");
  EXPECT_EQ(store::days_of_uploads(this->settings().get_lifecycle(this->bucket_)), 7U);
  this->settings().set_lifecycle(this->bucket_, {});
  EXPECT_TRUE(this->settings().get_lifecycle(this->bucket_).rules.empty());
  EXPECT_EQ(store::days_of_uploads(this->settings().get_lifecycle(this->bucket_)), std::nullopt);
}

TYPED_TEST_P(BucketSettingsSuite, KeepsRulesOfOthersWhenOneIsAdded) {
  store::Lifecycle lifecycle;
  lifecycle.rules.push_back(
      {.id = "others",
       .prefix = "old/",
       .as_written =
           "<Rule><ID>others</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status><Transition><Days>90"
           "</Days><StorageClass>GLACIER</StorageClass></Transition><NoncurrentVersionExpiration><NoncurrentDays>60"
           "</NoncurrentDays></NoncurrentVersionExpiration></Rule>"});
  this->settings().set_lifecycle(this->bucket_, lifecycle);
  const store::LifecycleRule others = this->rule("others");
  EXPECT_EQ(others.prefix, "old/");
  for (const char* part : {"<Days>90</Days>", "GLACIER", "<NoncurrentDays>60</NoncurrentDays>"})
    EXPECT_NE(others.as_written.find(part), std::string::npos) << part << " in " << others.as_written;
  this->settings().set_lifecycle(
      this->bucket_, with_rule(this->settings().get_lifecycle(this->bucket_), {.id = "own", .abort_uploads_days = 7}));
  EXPECT_EQ(this->rule("others"), others);
  EXPECT_EQ(this->rule("own").abort_uploads_days, 7U);
  // Changed, not added.
  this->settings().set_lifecycle(
      this->bucket_, with_rule(this->settings().get_lifecycle(this->bucket_), {.id = "own", .abort_uploads_days = 3}));
  EXPECT_EQ(this->settings().get_lifecycle(this->bucket_).rules.size(), 2U);
  EXPECT_EQ(this->rule("others"), others);
  EXPECT_EQ(this->rule("own").abort_uploads_days, 3U);
}

TYPED_TEST_P(BucketSettingsSuite, NamesRulesThatHaveNoId) {
  this->settings().set_lifecycle(this->bucket_, {.rules = {{.id = "", .prefix = "a", .expire_days = 1},
                                                           {.id = "", .prefix = "b", .expire_days = 2}}});
  const auto rules = this->settings().get_lifecycle(this->bucket_).rules;
  ASSERT_EQ(rules.size(), 2U);
  if constexpr (TypeParam::names_rules) {
    EXPECT_NE(rules[0].id, "");
    EXPECT_NE(rules[1].id, "");
    EXPECT_NE(rules[0].id, rules[1].id);
  }
}

TYPED_TEST_P(BucketSettingsSuite, KeepsTags) {
  EXPECT_TRUE(this->settings().get_tags(this->bucket_).empty());
  const store::Tags tags{{"project", "a&b"}, {"empty", ""}, {"\xC3\xA4", "\xC3\xB6"}};
  this->settings().set_tags(this->bucket_, tags);
  EXPECT_EQ(this->settings().get_tags(this->bucket_), tags);
  this->settings().set_tags(this->bucket_, {{"other", "1"}});
  EXPECT_EQ(this->settings().get_tags(this->bucket_), (store::Tags{{"other", "1"}}));
  this->settings().set_tags(this->bucket_, {});
  EXPECT_TRUE(this->settings().get_tags(this->bucket_).empty());
  this->settings().set_tags(this->bucket_, {});  // once more: no error
}

TYPED_TEST_P(BucketSettingsSuite, KeepsEachSettingByItself) {
  this->settings().set_tags(this->bucket_, {{"t", "1"}});
  this->settings().set_lifecycle(this->bucket_, {.rules = {{.id = "r", .abort_uploads_days = 7}}});
  if constexpr (TypeParam::has_public_access)
    this->settings().set_public_access_block(this->bucket_, store::PublicAccessBlock::all());
  EXPECT_EQ(this->settings().get_tags(this->bucket_), (store::Tags{{"t", "1"}}));
  this->settings().set_tags(this->bucket_, {});
  EXPECT_EQ(this->rule("r").abort_uploads_days, 7U);
  if constexpr (TypeParam::has_public_access) {
    EXPECT_EQ(this->settings().get_public_access_block(this->bucket_), store::PublicAccessBlock::all());
  }
}

TYPED_TEST_P(BucketSettingsSuite, RefusesWhatS3Refuses) {
  const auto set_rules = [&](std::vector<store::LifecycleRule> rules) {
    this->settings().set_lifecycle(this->bucket_, {.rules = std::move(rules)});
  };
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", set_rules({{.id = "r"}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", set_rules({{.id = "r", .abort_uploads_days = 0}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", set_rules({{.id = "r", .expire_days = 0}}));
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", set_rules({{.id = "r", .transition_days = 1}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument",
               set_rules({{.id = "r", .expire_days = 1}, {.id = "r", .prefix = "p", .expire_days = 1}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", set_rules({{.id = std::string(256, 'r'), .expire_days = 1}}));
  std::vector<store::LifecycleRule> many;
  for (int i = 0; i < 1001; ++i) many.push_back({.id = std::to_string(i), .expire_days = 1});
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", set_rules(many));
  EXPECT_TRUE(this->settings().get_lifecycle(this->bucket_).rules.empty());
  store::Tags tags;
  for (int i = 0; i < 51; ++i) tags[std::to_string(i)] = "";
  EXPECT_ERROR(ErrorKind::invalid, "BadRequest", this->settings().set_tags(this->bucket_, tags));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidTag", this->settings().set_tags(this->bucket_, {{"", "v"}}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidTag",
               this->settings().set_tags(this->bucket_, {{"k", std::string(257, 'v')}}));
  tags.erase("50");
  this->settings().set_tags(this->bucket_, tags);
  EXPECT_EQ(this->settings().get_tags(this->bucket_).size(), 50U);
  EXPECT_ERROR(ErrorKind::invalid, "InvalidEncryptionAlgorithmError",
               this->settings().set_encryption(this->bucket_, {.algorithm = "rot13"}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument",
               this->settings().set_encryption(this->bucket_, {.algorithm = "AES256", .kms_key = "k"}));
}

TYPED_TEST_P(BucketSettingsSuite, SaysThatABucketIsMissing) {
  const BucketName missing("no-such-bucket-here");
  const auto expect_missing = [](const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found) << error.what();
    EXPECT_EQ(error.code(), "NoSuchBucket");
  };
  expect_missing(error_of([&] { this->settings().get_lifecycle(missing); }));
  expect_missing(
      error_of([&] { this->settings().set_lifecycle(missing, {.rules = {{.id = "r", .expire_days = 1}}}); }));
  expect_missing(error_of([&] { this->settings().get_tags(missing); }));
  expect_missing(error_of([&] { this->settings().set_tags(missing, {{"k", "v"}}); }));
  if constexpr (TypeParam::has_encryption) {
    expect_missing(error_of([&] { this->settings().get_encryption(missing); }));
    expect_missing(error_of([&] { this->settings().set_encryption(missing, {}); }));
  }
  if constexpr (TypeParam::has_public_access) {
    expect_missing(error_of([&] { this->settings().get_public_access_block(missing); }));
    expect_missing(error_of([&] { this->settings().set_public_access_block(missing, {}); }));
  }
}

TYPED_TEST_P(BucketSettingsSuite, ForgetsTheSettingsOfADeletedBucket) {
  this->settings().set_tags(this->bucket_, {{"t", "1"}});
  this->settings().set_lifecycle(this->bucket_, {.rules = {{.id = "r", .abort_uploads_days = 7}}});
  this->kind_.store().delete_bucket(this->bucket_);
  this->kind_.store().create_bucket(this->bucket_);
  if constexpr (TypeParam::forgets_tags) {
    EXPECT_TRUE(this->settings().get_tags(this->bucket_).empty());
  }
  EXPECT_TRUE(this->settings().get_lifecycle(this->bucket_).rules.empty());
}

REGISTER_TYPED_TEST_SUITE_P(BucketSettingsSuite, KeepsTheEncryption, KeepsThePublicAccessBlock,
                            TakesWritesWherePublicAccessIsBlocked, KeepsLifecycleRules,
                            KeepsRulesOfOthersWhenOneIsAdded, NamesRulesThatHaveNoId, KeepsTags,
                            KeepsEachSettingByItself, RefusesWhatS3Refuses, SaysThatABucketIsMissing,
                            ForgetsTheSettingsOfADeletedBucket);

}  // namespace bale::testing
