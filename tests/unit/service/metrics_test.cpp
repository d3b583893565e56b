#include "service/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "service/metric_table.hpp"
#include "service/report.hpp"
#include "telemetry/emf.hpp"

namespace bale::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// `BALE_WRITE_DOCS=1 build/release/tests/test_service --gtest_filter='MetricTable.*'` writes the tables anew.
TEST(MetricTable, IsWhatTheDocumentationSays) {
  const std::string path = std::string(BALE_TEST_DATA) + "/../docs/metrics.md";
  const std::string begin = "<!-- table: written by test_service, see the end of this page -->\n";
  const std::string end = "\n<!-- end of table -->";
  const std::string page = read(path);
  const std::size_t from = page.find(begin), to = page.find(end);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const std::string made =
      page.substr(0, from) + begin + "\n" + telemetry::to_markdown(all_metrics()) + page.substr(to);
  if (std::getenv("BALE_WRITE_DOCS") != nullptr) std::ofstream(path) << made;
  EXPECT_EQ(page, made) << "run with BALE_WRITE_DOCS=1 to write it";
}

TEST(MetricTable, KeepsToTheRulesOfBothSystems) {
  const std::set<std::string_view> units{"Bytes", "Seconds", "Count", "Percent", "None", "Megabytes/Second"};
  std::set<std::string_view> names;
  std::set<std::pair<std::string_view, std::string>> cloudwatch;
  for (const telemetry::Metric* metric : all_metrics()) {
    const bool is_named = !metric->name.empty() || !metric->cloudwatch_name.empty();
    EXPECT_TRUE(is_named);
    if (!metric->name.empty()) {
      EXPECT_TRUE(names.insert(metric->name).second) << metric->name;
      const bool is_ours = metric->name.starts_with("bale_") || metric->name.starts_with("process_");
      EXPECT_TRUE(is_ours) << metric->name;
      EXPECT_EQ(metric->name.ends_with("_total"), metric->kind == telemetry::MetricKind::counter) << metric->name;
      EXPECT_EQ(metric->buckets.empty(), metric->kind != telemetry::MetricKind::histogram) << metric->name;
    }
    if (metric->cloudwatch_name.empty()) continue;
    EXPECT_TRUE(units.contains(metric->unit)) << metric->cloudwatch_name;
    std::string dimensions;
    for (const telemetry::Label& label : metric->labels) {
      EXPECT_FALSE(label.dimension.empty()) << metric->cloudwatch_name;
      dimensions += std::string(label.dimension) + "/";
    }
    EXPECT_TRUE(cloudwatch.insert({metric->cloudwatch_name, dimensions}).second) << metric->cloudwatch_name;
  }
}

/// The names that dashboards of S3 Cross-Region Compressor have, and those that its documentation promises.
TEST(MetricTable, HasEveryNameOfTheReplacedSystem) {
  std::set<std::string_view> names;
  for (const telemetry::Metric* metric : all_metrics()) names.insert(metric->cloudwatch_name);
  for (const char* name : {"CompressionRatio",      "TransferEfficiency",
                           "CompressionThroughput", "OriginalSize",
                           "CompressedSize",        "BytesSaved",
                           "DecompressionRatio",    "DecompressedSize",
                           "ProcessingTime",        "CompressionTimeSeconds",
                           "ObjectProcessingTime",  "ObjectSize",
                           "FailedDownloads",       "FailedMetadataRetrieval",
                           "FailedUploads",         "TransferSavings",
                           "ComputeCost",           "NetBenefit",
                           "BenefitScore",          "DecompressionTimeSeconds",
                           "ObjectRestoreTime",     "ProcessingTimeByStage",
                           "FailedDecompressions",  "FailedTargetUploads",
                           "ObjectsProcessed",      "SkippedObjects",
                           "BackupUploadSuccess",   "CatalogWriteSuccess",
                           "BackupFileSize"})
    EXPECT_TRUE(names.contains(name)) << name;
}

class ReportTest : public ::testing::Test {
 protected:
  /// The line with these members, from everything that was told so far.
  nlohmann::json line(const nlohmann::json& members) {
    for (const std::string& text : telemetry::to_emf_lines(registry.take_changes(), "stack", TimePoint{}))
      lines.push_back(nlohmann::json::parse(text));
    for (const nlohmann::json& found : lines) {
      bool all = found["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0].size() == members.size();
      for (const auto& [name, value] : members.items()) all = all && found.contains(name) && found[name] == value;
      if (all) return found;
    }
    ADD_FAILURE() << "no line with " << members;
    return {};
  }
  telemetry::Registry registry{all_metrics()};
  std::vector<nlohmann::json> lines;
};

TEST_F(ReportTest, APackedBatch) {
  const TimePoint now(Milliseconds(20'000));
  std::vector<pack::Item> items(5);
  items[0].size = 3000;
  items[0].time = TimePoint(Milliseconds(18'000));
  items[1].size = 1000;
  items[2].size = 77;
  items[3].deleted = true;
  pack::PackResult result;
  result.items = {{pack::Fate::packed, {}, false},
                  {pack::Fate::packed, {}, false},
                  {pack::Fate::gone, {}, false},
                  {pack::Fate::recorded, {}, false},
                  {pack::Fate::failed, Error(ErrorKind::denied, "no"), true}};
  result.archives.push_back({ObjectKey("a"), 2, 4000, 1000, 12, 0.1, Milliseconds(500)});
  report_packed(registry, {BucketName("src"), "", {Region("us-east-1"), Region("eu-west-1")}}, items, result,
                {{0.25, 0.05}}, now);
  const auto source = line({{"SourceBucket", "src"}, {"SourcePrefix", "root"}});
  EXPECT_EQ(source["ObjectsProcessed"], 2);
  EXPECT_EQ(source["SkippedObjects"], 1);
  EXPECT_EQ(source["FailedMetadataRetrieval"], 1);
  EXPECT_FALSE(source.contains("FailedDownloads"));
  EXPECT_EQ(source["ObjectSize"], nlohmann::json::parse("[1000.0, 3000.0]"));
  EXPECT_EQ(source["ObjectProcessingTime"], 2);
  EXPECT_EQ(source["CompressionRatio"], 4);
  EXPECT_EQ(source["TransferEfficiency"], 75);
  EXPECT_DOUBLE_EQ(source["CompressionThroughput"].get<double>(), 0.008);
  EXPECT_EQ(source["CompressionTimeSeconds"], 0.5);
  EXPECT_EQ(source["CompressionLevel"], 12);
  EXPECT_EQ(source["TransferSavings"], 0.25);
  EXPECT_EQ(source["ComputeCost"], 0.05);
  EXPECT_EQ(source["NetBenefit"], 0.2);
  for (const char* region : {"us-east-1", "eu-west-1"}) {
    const auto way = line({{"SourceBucket", "src"}, {"SourcePrefix", "root"}, {"TargetRegion", region}});
    EXPECT_EQ(way["OriginalSize"], 4000);
    EXPECT_EQ(way["CompressedSize"], 1000);
    EXPECT_EQ(way["BytesSaved"], 3000);
  }
}

TEST_F(ReportTest, AnArchiveThatLandedInPart) {
  land::LandResult result;
  result.was_there = true;
  result.objects_written = 4;
  result.object_bytes = 8000;
  result.archive_bytes = 2000;
  result.objects_took = Milliseconds(2000);
  result.object_buckets = {BucketName("copy")};
  result.backup_buckets = {BucketName("vault")};
  result.catalog = BucketName("catalog");
  const Error no(ErrorKind::denied, "no");
  result.failures = {{"s3://copy/k", no, BucketName("copy")},
                     {"s3://vault2/a", no, BucketName("vault2")},
                     {"s3://catalog/c", no, BucketName("catalog")}};
  report_landed(registry, result, Milliseconds(3000));
  const auto copy = line({{"TargetBucket", "copy"}});
  EXPECT_EQ(copy["DecompressionRatio"], 4);
  EXPECT_EQ(copy["CompressedSize"], 2000);
  EXPECT_EQ(copy["DecompressedSize"], 8000);
  EXPECT_EQ(copy["DecompressionTimeSeconds"], 2);
  EXPECT_EQ(copy["ObjectRestoreTime"], 0.5);
  EXPECT_EQ(copy["FailedTargetUploads"], 1);
  EXPECT_FALSE(copy.contains("BackupUploadSuccess"));
  EXPECT_EQ(line({{"TargetBucket", "vault"}})["BackupUploadSuccess"], 1);
  EXPECT_EQ(line({{"TargetBucket", "vault"}})["BackupFileSize"], 2000);
  EXPECT_EQ(line({{"TargetBucket", "vault2"}})["BackupUploadSuccess"], 0);
  EXPECT_EQ(line({{"TargetBucket", "catalog"}})["CatalogWriteSuccess"], 0);
  EXPECT_EQ(line({{"Function", "target"}})["ProcessingTime"], 3);
  EXPECT_EQ(line({{"Function", "target"}, {"Stage", "land"}})["ProcessingTimeByStage"], 3);
}

TEST_F(ReportTest, AnArchiveThatWasThereNoMoreIsNothing) {
  report_landed(registry, {}, Milliseconds(3000));
  EXPECT_TRUE(registry.take_changes().empty());
}

}  // namespace
}  // namespace bale::service
