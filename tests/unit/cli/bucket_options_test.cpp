// Flags and variables of s3-backup-restore, as the commands of `bale bucket` take them.
#include "cli/bucket_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

using ::testing::HasSubstr;

class BucketOptionsTest : public ::testing::Test {
 protected:
  BucketOptions parse(BucketVerb verb, std::vector<std::string> words) {
    CLI::App app("test");
    BucketArguments arguments;
    add_bucket_options(app, verb, arguments);
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    return bucket_options(arguments, verb, environment);
  }
  std::string refusal(BucketVerb verb, std::vector<std::string> words) {
    try {
      parse(verb, std::move(words));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      return std::string(error.what()) + " " + error.hint();
    }
    return "";
  }

  testing::FakeEnvironment environment;
};

TEST_F(BucketOptionsTest, PositionalBucketsHavePrefixes) {
  const BucketOptions options = parse(BucketVerb::backup, {"s3://source/a/", "s3://backup"});
  EXPECT_EQ(to_uri(options.source), "s3://source/a/");
  EXPECT_EQ(options.destination.bucket.str(), "backup");
  EXPECT_TRUE(options.destination.key.empty());
  EXPECT_FALSE(options.is_script_form);
  EXPECT_EQ(options.dimension, "Dev");
  EXPECT_EQ(options.log_level, "");
}

TEST_F(BucketOptionsTest, TheFlagsOfTheScriptsMeanWhatTheyMeant) {
  const BucketOptions options = parse(BucketVerb::backup, {"-s",
                                                           "source",
                                                           "-d",
                                                           "backup",
                                                           "--prefix",
                                                           "logs/",
                                                           "-a",
                                                           "--thread-count-per-proc",
                                                           "10",
                                                           "--timeout",
                                                           "60",
                                                           "-p",
                                                           "me",
                                                           "--cloudwatch-dimension-name",
                                                           "Prod",
                                                           "-vvv",
                                                           "--objects-count",
                                                           "7",
                                                           "--last-modified-since",
                                                           "24",
                                                           "--tag-deleted"});
  EXPECT_EQ(options.source.bucket.str(), "source");
  EXPECT_EQ(options.destination.bucket.str(), "backup");
  EXPECT_EQ(options.prefix, "logs/");
  EXPECT_TRUE(options.all);
  EXPECT_EQ(options.threads_per_process, 10U);
  EXPECT_EQ(options.profile, "me");
  EXPECT_EQ(options.dimension, "Prod");
  EXPECT_EQ(options.log_level, "debug");
  EXPECT_EQ(options.objects_count, 7U);
  EXPECT_EQ(options.last_modified_since, 24U);
  EXPECT_TRUE(options.tag_deleted);
  EXPECT_TRUE(options.is_script_form);
}

TEST_F(BucketOptionsTest, TheVariablesOfTheScriptsCountWhereNoBucketIsPositional) {
  environment.variables = {{"S3_SRC_BUCKET", "source"},
                           {"S3_DEST_BUCKET", "backup"},
                           {"PREFIX", "logs/"},
                           {"ALL", "1"},
                           {"THREAD_COUNT_PER_PROC", "3"},
                           {"CW_DIMENSION_NAME", "Prod"},
                           {"VERBOSE", "INFO"},
                           {"S3_OBJECTS_COUNT", "9"},
                           {"LAST_MODIFIED_SINCE", "12"},
                           {"TAG_DELETED", "true"},
                           {"CHECK_DELETED_TAG", "no matter"}};
  const BucketOptions options = parse(BucketVerb::backup, {});
  EXPECT_EQ(options.source.bucket.str(), "source");
  EXPECT_EQ(options.destination.bucket.str(), "backup");
  EXPECT_EQ(options.prefix, "logs/");
  EXPECT_TRUE(options.all);
  EXPECT_EQ(options.threads_per_process, 3U);
  EXPECT_EQ(options.dimension, "Prod");
  EXPECT_EQ(options.log_level, "info");
  EXPECT_EQ(options.objects_count, 9U);
  EXPECT_EQ(options.last_modified_since, 12U);
  EXPECT_TRUE(options.tag_deleted);
  const BucketOptions restored = parse(BucketVerb::restore, {"-s", "other"});
  EXPECT_EQ(restored.source.bucket.str(), "other") << "a flag goes before its variable";
  EXPECT_TRUE(restored.check_deleted_tag);
  EXPECT_FALSE(restored.last_modified_since);
}

TEST_F(BucketOptionsTest, TheVariablesOfTheScriptsDoNotCountOtherwise) {
  environment.variables = {{"PREFIX", "/usr/local"}, {"ALL", "1"}, {"TIMEOUT", "soon"}};
  const BucketOptions options = parse(BucketVerb::restore, {"s3://backup", "s3://fresh"});
  EXPECT_EQ(options.prefix, "");
  EXPECT_FALSE(options.all);
}

TEST_F(BucketOptionsTest, AFlagThatIsSwitchedOffByItsVariableIsOff) {
  environment.variables = {{"S3_SRC_BUCKET", "source"}, {"S3_DEST_BUCKET", "backup"}};
  for (const char* off : {"", "0", "false", "No", "off"}) {
    environment.variables["ALL"] = off;
    EXPECT_FALSE(parse(BucketVerb::backup, {}).all) << off;
  }
}

TEST_F(BucketOptionsTest, WhatIsMissingOrWrongIsNamed) {
  EXPECT_THAT(refusal(BucketVerb::backup, {}), HasSubstr("missing SRC"));
  EXPECT_THAT(refusal(BucketVerb::restore, {"s3://backup"}), HasSubstr("missing NEW"));
  EXPECT_THAT(refusal(BucketVerb::backup, {"s3://a-bucket", "s3://b-bucket", "-s", "c-bucket"}),
              HasSubstr("both SRC and -s"));
  EXPECT_THAT(refusal(BucketVerb::backup, {"source", "s3://b-bucket"}), HasSubstr("not an S3 URI"));
  EXPECT_THAT(refusal(BucketVerb::backup, {"-s", "Not_A_Bucket", "-d", "backup"}), HasSubstr("Not_A_Bucket"));
  environment.variables = {{"S3_SRC_BUCKET", "source"}, {"S3_DEST_BUCKET", "backup"}, {"S3_OBJECTS_COUNT", "many"}};
  EXPECT_THAT(refusal(BucketVerb::backup, {}), HasSubstr("S3_OBJECTS_COUNT"));
  environment.variables["S3_OBJECTS_COUNT"] = "";
  environment.variables["VERBOSE"] = "loud";
  EXPECT_THAT(refusal(BucketVerb::backup, {}), HasSubstr("VERBOSE"));
}

TEST(BucketConnections, AreThoseOfAllProcessesOfTheScript) {
  EXPECT_EQ(connections_of(25, 4), 100U);
  EXPECT_EQ(connections_of(25, 0), 25U);
  EXPECT_EQ(connections_of(1000, 1000), 1024U);
  EXPECT_EQ(connections_of(0, 4), 1U);
}

}  // namespace
}  // namespace bale::cli
