// bale config
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app.hpp"
#include "cli/context.hpp"
#include "config/raw.hpp"
#include "config/replication.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string golden(const std::string& name) { return std::string(BALE_TEST_DATA) + "/unit/config/golden/" + name; }

TEST(ConfigCheck, ShowsWhatAConfigurationMeans) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"config", "check", "--config", golden("everything")}, world.world()), exit_ok);
  const std::string shown = world.terminal.output();
  for (const char* part : {"stack photos, account 123456789012: 1 rule, 2 regions", "camera/raw/2025/*.dng",
                           "copies in us-east-1, STANDARD_IA, KMS", "backups in us-east-1, backup, DEEP_ARCHIVE",
                           "photos-source-camera-raw-2025", "photos-123456789012-eu-central-1-outbound",
                           "photos-us-east-1-target", "photos-123456789012-us-east-1-catalog"}) {
    EXPECT_THAT(shown, HasSubstr(part));
  }
}

TEST(ConfigCheck, PrintsAllFindings) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"config", "check", "--config", golden("out_of_range")}, world.world()), exit_usage);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("is wrong in 14 places:\n"));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("source.cpu: 100 is not in 256-16384\n"));
  EXPECT_EQ(world.terminal.output(), "");
}

TEST(ConfigCheck, FindingsAreJsonLines) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"--output", "json", "config", "check", "--config", golden("loop")}, world.world()), exit_usage);
  const json finding = json::parse(world.terminal.output());
  EXPECT_EQ(finding["type"], "finding");
  EXPECT_EQ(finding["file"], "replication_config.json");
  EXPECT_THAT(finding["message"].get<std::string>(), HasSubstr("here/x/ -> there -> here/x/"));
}

TEST(ConfigCheck, RulesAreJsonLines) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"--output", "json", "config", "check", "--config", golden("everything")}, world.world()), exit_ok);
  std::istringstream lines(world.terminal.output());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["type"], "rule");
  EXPECT_EQ(json::parse(line)["destinations"].size(), 2u);
}

TEST(ConfigCheck, AMissingDirectoryIsNotFound) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"config", "check", "--config", "/nonexistent"}, world.world()), exit_not_found);
  EXPECT_EQ(run({"config", "check"}, world.world()), exit_usage);
}

TEST(ConfigCheck, ShowsWhatAConfigurationOfRawFilesMeans) {
  testing::FakeWorld world;
  const std::string file = world.write("backup.yaml", R"(
backup:
  backup_type: s3
  pool_path: /pool
  instruments: {tims1: /instruments/tims1}
  s3: {region: eu-central-1, bucket_prefix: kraken, auto_create_buckets: true,
       bandwidth_limit: {08:00-18:00: 20MiB, 18:00-08:00: unlimited}}
)");
  EXPECT_EQ(run({"config", "check", file}, world.world()), exit_ok);
  const std::string shown = world.terminal.take_output();
  for (const char* part : {"kraken-{project} in eu-central-1, made where missing", "500.0 MiB", "tims1", "by_id",
                           "08:00-18:00 20.0 MiB/s, 18:00-08:00 unlimited", "bale-raw"})
    EXPECT_THAT(shown, HasSubstr(part));
  EXPECT_EQ(run({"--output", "json", "config", "check", "--config", file}, world.world()), exit_ok);
  const json summary = json::parse(world.terminal.take_output());
  EXPECT_EQ(summary["type"], "raw");
  EXPECT_EQ(summary["part_bytes"], 524'288'000);
}

TEST(ConfigCheck, FindingsOfRawFilesHaveLineAndColumn) {
  testing::FakeWorld world;
  const std::string file = world.write("backup.yaml", "backup:\n  layout: x\n");
  EXPECT_EQ(run({"--output", "json", "config", "check", file}, world.world()), exit_usage);
  const json finding = json::parse(world.terminal.take_output());
  EXPECT_EQ(finding["file"], file);
  EXPECT_EQ(finding["line"], 2);
  EXPECT_EQ(finding["column"], 11);
  EXPECT_EQ(run({"config", "check", world.path("none.yaml").string()}, world.world()), exit_not_found);
  EXPECT_EQ(run({"config", "check", file, "--config", golden("everything")}, world.world()), exit_usage);
}

TEST(ConfigSchema, PrintsEach) {
  testing::FakeWorld world;
  EXPECT_EQ(run({"config", "schema", "settings"}, world.world()), exit_ok);
  EXPECT_EQ(world.terminal.take_output(), config::settings_schema());
  EXPECT_EQ(run({"config", "schema", "replication"}, world.world()), exit_ok);
  EXPECT_EQ(world.terminal.take_output(), config::replication_schema());
  EXPECT_EQ(run({"config", "schema", "raw"}, world.world()), exit_ok);
  EXPECT_EQ(world.terminal.take_output(), config::raw_schema());
  EXPECT_EQ(run({"config", "schema", "other"}, world.world()), exit_usage);
}

}  // namespace
}  // namespace bale::cli
