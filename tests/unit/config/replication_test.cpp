#include "config/replication.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bale::config {
namespace {

Rule rule(const char* bucket, const char* prefix, std::vector<Destination> destinations, const char* suffix = "") {
  Rule made;
  made.source.bucket = BucketName(bucket);
  made.source.prefix = prefix;
  made.source.suffix = suffix;
  made.destinations = std::move(destinations);
  return made;
}
Destination to(const char* bucket) { return {.bucket = BucketName(bucket)}; }
Destination backup(const char* bucket) { return {.bucket = BucketName(bucket), .backup = true}; }

TEST(ReplicationLoop, SeesPairsInBothDirections) {
  EXPECT_EQ(find_replication_loop({rule("a", "x", {to("b")}), rule("b", "", {to("a")})}), "a/x/ -> b -> a/x/");
  EXPECT_EQ(find_replication_loop({rule("a", "x", {to("b")}), rule("b", "x", {to("a")})}), "a/x/ -> b/x/ -> a/x/");
}

TEST(ReplicationLoop, SeesNestedPrefixes) {
  EXPECT_EQ(find_replication_loop({rule("a", "x/y", {to("b")}), rule("b", "x", {to("a")})}),
            "a/x/y/ -> b/x/ -> a/x/y/");
  EXPECT_TRUE(find_replication_loop({rule("a", "x", {to("b")}), rule("b", "x/y", {to("a")})}));
}

TEST(ReplicationLoop, SeesChainsOfAnyLength) {
  EXPECT_EQ(find_replication_loop({rule("a", "", {to("b")}), rule("b", "", {to("c")}), rule("c", "", {to("a")})}),
            "a -> b -> c -> a");
  std::vector<Rule> long_chain;
  for (int i = 0; i < 60; ++i)
    long_chain.push_back(
        rule(("b" + std::to_string(i)).c_str(), "", {to(("b" + std::to_string((i + 1) % 60)).c_str())}));
  EXPECT_TRUE(find_replication_loop(long_chain));
  long_chain.pop_back();
  EXPECT_FALSE(find_replication_loop(long_chain));
}

TEST(ReplicationLoop, SeesARuleToItsOwnBucket) {
  EXPECT_EQ(find_replication_loop({rule("a", "x", {to("a")})}), "a/x/ -> a/x/");
}

TEST(ReplicationLoop, SeesALoopBehindAChainThatLeadsIntoIt) {
  EXPECT_EQ(find_replication_loop({rule("start", "", {to("a")}), rule("a", "", {to("b")}), rule("b", "", {to("a")})}),
            "a -> b -> a");
}

TEST(ReplicationLoop, AllowsPrefixesThatNoKeyHasTogether) {
  EXPECT_FALSE(find_replication_loop({rule("a", "x", {to("b")}), rule("b", "y", {to("a")})}));
  // "ab/" is not below "a/".
  EXPECT_FALSE(find_replication_loop({rule("a", "a", {to("b")}), rule("b", "ab", {to("a")})}));
  // Every step could go on by itself, but no key passes all filters.
  EXPECT_FALSE(find_replication_loop(
      {rule("a", "x", {to("b")}), rule("b", "", {to("c")}), rule("c", "y", {to("d")}), rule("d", "", {to("a")})}));
}

TEST(ReplicationLoop, MindsSuffixes) {
  EXPECT_FALSE(find_replication_loop({rule("a", "", {to("b")}, ".jpg"), rule("b", "", {to("a")}, ".png")}));
  EXPECT_EQ(find_replication_loop({rule("a", "", {to("b")}, ".gz"), rule("b", "", {to("a")}, ".tar.gz")}),
            "a/*.gz -> b/*.tar.gz -> a/*.gz");
}

TEST(ReplicationLoop, FollowsArchivesThatAreTakenAsObjects) {
  // Archives go to b/a/..., whence they go back to a under the same key, and are packed again.
  EXPECT_EQ(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {to("a")})}), "a -> b -> a");
  EXPECT_EQ(find_replication_loop({rule("a", "", {backup("a")})}), "a -> a");
  EXPECT_TRUE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "a", {backup("a")})}));
  EXPECT_TRUE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {to("a")}, ".tar.zst")}));
  // The end of an archive's name is eight hex digits and an extension.
  EXPECT_TRUE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {to("a")}, "_0123abcd.tar.zst")}));
}

TEST(ReplicationLoop, AllowsArchivesThatNoRuleTakes) {
  EXPECT_FALSE(find_replication_loop({rule("a", "logs", {backup("a")})}));  // a/logs/ is not below logs/
  EXPECT_FALSE(find_replication_loop({rule("a", "x", {backup("b")}), rule("b", "a/y", {to("a")})}));
  EXPECT_FALSE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {to("a")}, ".jpg")}));
  EXPECT_FALSE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {to("a")}, "xyz.tar.zst")}));
  // Archives of archives are odd, and end.
  EXPECT_FALSE(find_replication_loop({rule("a", "", {backup("b")}), rule("b", "", {backup("c")})}));
}

TEST(ReplicationConfig, ReadsEveryMember) {
  const ReplicationConfig config =
      load_replication_config(os::system_files(), os::fs::path(BALE_TEST_DATA) / "unit/config/golden/everything");
  EXPECT_EQ(config.settings.stack_name, "photos");
  EXPECT_EQ(config.settings.account, "123456789012");
  ASSERT_EQ(config.settings.enabled_regions.size(), 2u);
  EXPECT_TRUE(config.settings.enabled_regions[0].source);
  EXPECT_FALSE(config.settings.enabled_regions[0].target);
  EXPECT_EQ(config.settings.enabled_regions[1].availability_zones, 6);
  EXPECT_EQ(config.settings.enabled_regions[1].vpc_cidr, "10.1.0.0/20");
  EXPECT_EQ(config.settings.notification_emails, std::vector<std::string>{"ops@example.com"});
  EXPECT_EQ(config.settings.tags.at("project"), "photos");
  ASSERT_EQ(config.rules.size(), 1u);
  const Source& source = config.rules[0].source;
  EXPECT_EQ(source.region, Region("eu-central-1"));
  EXPECT_EQ(source.bucket, BucketName("camera"));
  EXPECT_EQ(source.prefix, "raw/2025");
  EXPECT_EQ(source.suffix, ".dng");
  EXPECT_EQ(source.kms_key_arn, "arn:aws:kms:eu-central-1:123456789012:key/1234abcd");
  EXPECT_EQ(source.scaling_limit, 1);
  EXPECT_EQ(source.cpu, 256);
  EXPECT_EQ(source.memory, 512);
  EXPECT_EQ(source.ephemeral_storage, 21);
  EXPECT_EQ(source.scaling_target_backlog_per_task, 1);
  EXPECT_EQ(source.visibility_timeout, std::chrono::seconds(43200));
  EXPECT_EQ(source.max_receive_count, 3u);
  EXPECT_EQ(source.batch.max_objects, 10u);
  EXPECT_EQ(source.batch.max_bytes, 1048576u);
  EXPECT_EQ(source.batch.max_wait, std::chrono::seconds(0));
  EXPECT_TRUE(source.track_deletes);
  EXPECT_EQ(source.level, 22);
  EXPECT_EQ(source.frame_size, 65536u);
  const Destination copies{Region("us-east-1"), BucketName("copies"), "arn:aws:kms:us-east-1:123456789012:alias/main",
                           "STANDARD_IA", false};
  const Destination backups{Region("us-east-1"), BucketName("backups"), "", "DEEP_ARCHIVE", true};
  EXPECT_THAT(config.rules[0].destinations, ::testing::ElementsAre(copies, backups));
}

TEST(ReplicationConfig, EmptyStringsGiveTheDefaults) {
  const ReplicationConfig config = load_replication_config(
      os::system_files(), os::fs::path(BALE_TEST_DATA) / "unit/config/golden/empty_strings_are_omissions");
  EXPECT_EQ(config.settings.account, "000000000000");
  EXPECT_EQ(config.settings.enabled_regions[0].availability_zones, 2);
  const Source& source = config.rules[0].source;
  EXPECT_EQ(source.scaling_limit, 20);
  EXPECT_EQ(source.cpu, 2048);
  EXPECT_EQ(source.memory, 4096);
  EXPECT_EQ(source.ephemeral_storage, 20);
  EXPECT_EQ(source.scaling_target_backlog_per_task, 60);
  EXPECT_EQ(source.visibility_timeout, std::chrono::seconds(300));
  EXPECT_EQ(source.max_receive_count, 5u);
  EXPECT_EQ(source.batch.max_objects, 1000u);
  EXPECT_EQ(source.batch.max_bytes, 268435456u);
  EXPECT_EQ(source.batch.max_wait, std::chrono::seconds(5));
  EXPECT_EQ(source.level, std::nullopt);
  EXPECT_EQ(source.frame_size, std::nullopt);
  EXPECT_FALSE(config.rules[0].destinations[0].backup);
}

TEST(ReplicationConfig, AMissingFileIsNamed) {
  try {
    load_replication_config(os::system_files(), "/nonexistent");
    FAIL() << "no file, no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_EQ(error.where(), "/nonexistent/settings.json");
  }
}

TEST(ReplicationConfig, AFileThatNestsTooDeepIsAFinding) {
  const auto nested = [](std::string_view opened, std::string_view closed) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += opened;
    text += "1";
    for (int i = 0; i < 100'000; ++i) text += closed;
    return text;
  };
  const std::string arrays = nested("[", "]"), objects = nested(R"({"a":)", "}");
  for (const std::string& file : {arrays, objects, R"({"stack_name":)" + arrays + "}", R"({"tags":)" + objects + "}"}) {
    try {
      parse_replication_config(file, file);
      ADD_FAILURE() << file.substr(0, 30);
    } catch (const InvalidConfig& error) {
      EXPECT_THAT(error.findings()[0].message, ::testing::HasSubstr("128 levels"));
      EXPECT_EQ(error.findings()[0].file, "settings.json");
    }
  }
}

TEST(Names, FollowFromStackAccountAndRegion) {
  const Settings settings{.stack_name = "photos", .account = "123456789012"};
  const Region region("eu-central-1");
  EXPECT_EQ(outbound_bucket(settings, region), BucketName("photos-123456789012-eu-central-1-outbound"));
  EXPECT_EQ(inbound_bucket(settings, region), BucketName("photos-123456789012-eu-central-1-inbound"));
  EXPECT_EQ(catalog_bucket(settings, region), BucketName("photos-123456789012-eu-central-1-catalog"));
  EXPECT_EQ(target_queue(settings, region), QueueName("photos-eu-central-1-target"));
  EXPECT_EQ(relay_queue(settings, region), QueueName("photos-eu-central-1-relay"));
  EXPECT_EQ(dead_letter_queue(QueueName("q")), QueueName("q-dlq"));
  EXPECT_EQ(replication_table(settings), TableName("photos-replication"));
  EXPECT_EQ(levels_table(settings), TableName("photos-compression-settings"));
  EXPECT_EQ(archive_prefix(BucketName("camera"), "raw/2025"), "camera/raw/2025/");
  EXPECT_EQ(archive_prefix(BucketName("camera"), ""), "camera/");
}

Source source_of(const char* bucket, std::string prefix, std::string suffix) {
  Source source;
  source.bucket = BucketName(bucket);
  source.prefix = std::move(prefix);
  source.suffix = std::move(suffix);
  return source;
}

TEST(Names, SourceQueuesAreLegalShortAndApart) {
  const Settings settings{.stack_name = "photos"};
  EXPECT_EQ(source_queue(settings, source_of("camera", "", "")), QueueName("photos-source-camera"));
  const std::vector<Source> sources = {source_of("camera", "", ""),
                                       source_of("camera", "a/b", ""),
                                       source_of("camera", "a-b", ""),
                                       source_of("camera", "a", "b"),
                                       source_of("camera-a", "b", ""),
                                       source_of("camera", "", "a-b"),
                                       source_of("camera.a", "b", ""),
                                       source_of("camera", "ä", ""),
                                       source_of("camera", std::string(500, 'p'), ""),
                                       source_of("camera", std::string(501, 'p'), "")};
  std::set<QueueName> names;
  for (const Source& source : sources) {
    const QueueName name = source_queue(settings, source);
    EXPECT_LE(dead_letter_queue(name).str().size(), 80u) << name.str();
    EXPECT_THAT(name.str(), ::testing::MatchesRegex("[A-Za-z0-9_-]+"));
    EXPECT_TRUE(names.insert(name).second) << name.str();
  }
}

TEST(Names, DestinationRegionsComeOnceInOrder) {
  EXPECT_THAT(destination_regions({{.region = Region("b")}, {.region = Region("a")}, {.region = Region("b")}}),
              ::testing::ElementsAre(Region("b"), Region("a")));
}

}  // namespace
}  // namespace bale::config
