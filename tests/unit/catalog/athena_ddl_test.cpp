#include "catalog/athena_ddl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "catalog/file.hpp"
#include "contract/errors.hpp"

namespace bale::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string golden(const std::string& name) {
  std::ifstream file(std::string(BALE_TEST_DATA) + "/unit/catalog/golden/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string table_of(const std::string& bucket, const std::string& prefix) {
  return create_table_statement("photos_catalog_db", "t", BucketName("photos-123456789012-us-east-1-catalog"),
                                {BucketName(bucket), prefix, {}}, {2015, 2035});
}

std::vector<std::string> names_of(const std::vector<std::pair<std::string, std::string>>& sources) {
  std::vector<AthenaSource> all;
  for (const auto& [bucket, prefix] : sources) all.push_back({BucketName(bucket), prefix, {}});
  return athena_table_names(all);
}

TEST(AthenaDdl, GoldenTable) {
  EXPECT_EQ(create_table_statement("photos_catalog_db", "camera_raw_2025",
                                   BucketName("photos-123456789012-us-east-1-catalog"),
                                   {BucketName("camera"), "raw/2025", {}}, {2015, 2035}) +
                "\n",
            golden("athena_table.sql"));
}

TEST(AthenaDdl, GoldenDatabaseAndView) {
  EXPECT_EQ(create_database_statement(athena_database_name("My-Stack")),
            "CREATE DATABASE IF NOT EXISTS `my-stack_catalog_db`");
  EXPECT_EQ(create_view_statement("my-stack_catalog_db", {"a", "b"}),
            "CREATE OR REPLACE VIEW \"my-stack_catalog_db\".\"catalog\" AS\n"
            "SELECT * FROM \"my-stack_catalog_db\".\"a\"\n"
            "UNION ALL\n"
            "SELECT * FROM \"my-stack_catalog_db\".\"b\"");
}

/// Whatever a row can have is a column: a member that the table lacks could not be asked for.
TEST(AthenaDdl, TheTableHasEveryMemberOfARow) {
  Record record;
  record.backup_file = "b";
  record.object_path = ObjectKey("k");
  record.target_buckets = {BucketName("t")};
  record.source_region = Region("r");
  record.archive_bucket = BucketName("t");
  record.archive_key = ObjectKey("a");
  record.archive_etag = ETag("t");
  record.version_id = VersionId("v");
  record.sequencer = "1";
  record.etag = ETag("e");
  record.sha256 = "s";
  record.storage_class = "STANDARD";
  record.headers.content_type = "text/plain";
  record.metadata["m"] = "1";
  record.tags["t"] = "1";
  record.location.emplace();
  const std::string table = table_of("bucket", "");
  const auto row = nlohmann::json::parse(to_file_text({record}));
  EXPECT_GE(row.size(), 30u);
  for (const auto& [name, value] : row.items()) EXPECT_THAT(table, HasSubstr("\n  `" + name + "` "));
}

TEST(AthenaDdl, TheWholeBucketHasNoEmptyComponent) {
  const std::string table = table_of("bucket", "");
  EXPECT_THAT(table, HasSubstr("LOCATION 's3://photos-123456789012-us-east-1-catalog/bucket/'\n"));
  EXPECT_THAT(table, HasSubstr("-catalog/bucket/year=${year}/month=${month}/day=${day}/'"));
}

TEST(AthenaDdl, TextIsEscaped) {
  EXPECT_THAT(table_of("bucket", "it's/a\\b"), HasSubstr("LOCATION 's3://photos-123456789012-us-east-1-catalog/"
                                                         "bucket/it\\'s/a\\\\b/'"));
  EXPECT_EQ(create_database_statement("a`b"), "CREATE DATABASE IF NOT EXISTS `a``b`");
  EXPECT_THAT(create_view_statement("a\"b", {"t"}), HasSubstr("\"a\"\"b\".\"t\""));
}

TEST(AthenaDdl, RefusesPlacesThatAthenaCannotRead) {
  for (const char* prefix : {"/leading", "a//b", "${year}", "a\nb", "\x7f", "\xff"})
    EXPECT_ERROR(ErrorKind::unsupported, "", table_of("bucket", prefix));
  EXPECT_NO_THROW(table_of("bucket", "year=2025/$ünï code/"));
}

TEST(AthenaTableNames, AreMadeOfBucketAndPrefix) {
  EXPECT_THAT(names_of({{"camera", ""}, {"camera", "Raw/2025"}, {"my.logs-eu", "a--b/_c_"}, {"2025", "ü"}}),
              ElementsAre("camera", "camera_raw_2025", "my_logs_eu_a_b_c", "2025"));
}

TEST(AthenaDdl, DirectoriesOfTheReplacedProgramBeginWithTheRegion) {
  const AthenaSource source{BucketName("camera"), "raw", Region("eu-central-1")};
  EXPECT_EQ(athena_location(BucketName("c"), source), "s3://c/eu-central-1/camera/raw/");
  EXPECT_THAT(athena_table_names({source}), ElementsAre("eu_central_1_camera_raw"));
}

TEST(AthenaTableNames, AreDistinct) {
  const auto names = names_of({{"camera", "raw"}, {"camera-raw", ""}, {"camera", "RAW"}, {"other", ""}});
  for (int i = 0; i < 3; ++i) EXPECT_THAT(names[i], ::testing::MatchesRegex("camera_raw_[0-9a-f]{8}")) << names[i];
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 4u);
  EXPECT_EQ(names[3], "other") << "others keep their names";
  EXPECT_EQ(names, names_of({{"camera", "raw"}, {"camera-raw", ""}, {"camera", "RAW"}, {"other", ""}}));
  // A bucket whose own name is what another's becomes.
  std::string made = names[0];
  std::replace(made.begin(), made.end(), '_', '-');
  const auto again = names_of({{"camera", "raw"}, {"camera-raw", ""}, {made, ""}});
  EXPECT_EQ(std::set<std::string>(again.begin(), again.end()).size(), 3u);
}

TEST(AthenaTableNames, LeaveTheNameOfTheView) {
  EXPECT_THAT(names_of({{"catalog", ""}}), ElementsAre(::testing::StartsWith("catalog_")));
}

TEST(AthenaTableNames, FitIntoGlue) {
  const std::string longest(900, 'x');
  const auto names = names_of({{"bucket", longest}, {"bucket", longest + "y"}});
  EXPECT_EQ(names[0].size(), 255u);
  EXPECT_NE(names[0], names[1]);
}

}  // namespace
}  // namespace bale::catalog
