#include "telemetry/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "base/error.hpp"
#include "telemetry/emf.hpp"

namespace bale::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Label of_place[] = {{"bucket", "Bucket"}, {"prefix", "Prefix"}};
constexpr double bounds[] = {1, 10};
constexpr Metric moved{MetricKind::counter, "bale_moved_total", "Moved", "Count", "How many\nof \\", of_place};
constexpr Metric level{MetricKind::gauge, "bale_level", "Level", "None", "The level"};
constexpr Metric size{MetricKind::histogram, "bale_size_bytes", "Size", "Bytes", "Sizes", of_place, bounds};
constexpr Metric quiet{MetricKind::counter, "bale_quiet_total", "", "", "For Prometheus alone"};
constexpr Metric cloud{MetricKind::histogram, "", "Ratio", "Percent", "For CloudWatch alone", of_place};
constexpr const Metric* all[] = {&moved, &level, &size, &quiet, &cloud};

class RegistryTest : public ::testing::Test {
 protected:
  std::vector<nlohmann::json> emf() {
    std::vector<nlohmann::json> lines;
    for (const std::string& line : to_emf_lines(registry.take_changes(), "stack", TimePoint(Milliseconds(1700))))
      lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  Registry registry{all};
};

TEST_F(RegistryTest, TextForPrometheus) {
  registry.add(moved, {"b", "a\"b\\c\nd"}, 2);
  registry.add(moved, {"b", "a\"b\\c\nd"});
  registry.set(level, {}, 0.5);
  for (const double value : {1.0, 2.0, 11.0}) registry.observe(size, {"b", ""}, value);
  registry.observe(cloud, {"b", ""}, 7);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP bale_moved_total How many\\nof \\\\\n"
            "# TYPE bale_moved_total counter\n"
            "bale_moved_total{bucket=\"b\",prefix=\"a\\\"b\\\\c\\nd\"} 3\n"
            "# HELP bale_level The level\n"
            "# TYPE bale_level gauge\n"
            "bale_level 0.5\n"
            "# HELP bale_size_bytes Sizes\n"
            "# TYPE bale_size_bytes histogram\n"
            "bale_size_bytes_bucket{bucket=\"b\",prefix=\"\",le=\"1\"} 1\n"
            "bale_size_bytes_bucket{bucket=\"b\",prefix=\"\",le=\"10\"} 2\n"
            "bale_size_bytes_bucket{bucket=\"b\",prefix=\"\",le=\"+Inf\"} 3\n"
            "bale_size_bytes_sum{bucket=\"b\",prefix=\"\"} 14\n"
            "bale_size_bytes_count{bucket=\"b\",prefix=\"\"} 3\n");
}

TEST_F(RegistryTest, CloudWatchIsToldOfChangesOnceALineForEachSetOfDimensions) {
  registry.add(moved, {"b", "p"}, 5);
  registry.add(moved, {"b", "q"}, 7);
  registry.observe(size, {"b", "p"}, 3);
  registry.observe(size, {"b", "p"}, 2);
  registry.set(level, {}, 4);
  registry.add(quiet, {});
  const auto lines = emf();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["Level"], 4);
  EXPECT_EQ(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], nlohmann::json::parse("[[]]"));
  const nlohmann::json expected = nlohmann::json::parse(R"({
    "_aws": {"Timestamp": 1700, "CloudWatchMetrics": [{"Namespace": "stack", "Dimensions": [["Bucket", "Prefix"]],
             "Metrics": [{"Name": "Moved", "Unit": "Count"}, {"Name": "Size", "Unit": "Bytes"}]}]},
    "Bucket": "b", "Prefix": "p", "Moved": 5.0, "Size": [2.0, 3.0]})");
  EXPECT_EQ(lines[1], expected);
  EXPECT_EQ(lines[2]["Moved"], 7);

  EXPECT_TRUE(emf().empty()) << "nothing changed since";
  registry.add(moved, {"b", "q"}, 1);
  registry.set(level, {}, 4);
  const auto later = emf();
  ASSERT_EQ(later.size(), 2u);
  EXPECT_EQ(later[0]["Level"], 4) << "a gauge that was set again";
  EXPECT_EQ(later[1]["Moved"], 1) << "what it grew by";
}

TEST_F(RegistryTest, ACounterKeptElsewhereIsToldByItsGrowth) {
  registry.set(moved, {"b", "p"}, 100);
  EXPECT_EQ(emf().at(0)["Moved"], 100);
  registry.set(moved, {"b", "p"}, 140);
  EXPECT_EQ(emf().at(0)["Moved"], 40);
}

TEST_F(RegistryTest, WhatCloudWatchCannotTakeIsLeftOutOrMadeFit) {
  registry.observe(cloud, {"", std::string(5000, 'x')}, 1);
  registry.observe(size, {"", std::string(5000, 'x')}, std::numeric_limits<double>::infinity());
  const auto lines = emf();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["Bucket"], "-") << "a dimension's value is not empty";
  EXPECT_EQ(lines[0]["Prefix"].get<std::string>().size(), 1024u);
  EXPECT_FALSE(lines[0].contains("Size"));
  EXPECT_EQ(lines[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"].size(), 1u);
}

TEST_F(RegistryTest, ForeignNamesDoNotMakeSeriesWithoutEnd) {
  for (int i = 0; i < 3000; ++i) registry.add(moved, {"b" + std::to_string(i), "p"});
  const auto lines = emf();
  EXPECT_EQ(lines.size(), Registry::most_series + 1);
  double told = 0, other = 0;
  for (const auto& line : lines) {
    told += line["Moved"].get<double>();
    if (line["Bucket"] == "other") other = line["Moved"].get<double>();
  }
  EXPECT_EQ(told, 3000);
  EXPECT_EQ(other, 2000);
}

TEST_F(RegistryTest, AMetricOfAnotherTableIsABug) {
  const Metric foreign{MetricKind::counter, "x_total", "", "", "x"};
  EXPECT_THROW(registry.add(foreign, {}), Error);
  EXPECT_THROW(registry.add(moved, {"too few"}), Error);
}

TEST_F(RegistryTest, ManyThreadsLoseNothing) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) registry.add(moved, {"b", "p"});
    });
  }
  double told = 0;
  for (int i = 0; i < 100; ++i) {
    for (const auto& change : registry.take_changes()) told += change.values.front();
  }
  threads.clear();
  for (const auto& change : registry.take_changes()) told += change.values.front();
  EXPECT_EQ(told, 20000);
}

TEST(ValueSample, OfManyKeepsAFairShareWithTheExtremes) {
  ValueSample sample;
  for (int i = 0; i < 100000; ++i) sample.add((i * 7919) % 100000);
  const std::vector<double> kept = sample.take();
  ASSERT_EQ(kept.size(), ValueSample::most);
  EXPECT_EQ(kept.front(), 0);
  EXPECT_EQ(kept.back(), 99999);
  EXPECT_NEAR(std::accumulate(kept.begin(), kept.end(), 0.0) / 100, 50000, 10000);
  EXPECT_TRUE(sample.take().empty());
  sample.add(3);
  EXPECT_THAT(sample.take(), ElementsAre(3));
}

TEST(MetricTable, HasALineForEach) {
  const std::string table = to_markdown(all);
  EXPECT_THAT(
      table,
      HasSubstr(
          "| `bale_size_bytes` | `bucket`, `prefix` | `Size` | `Bucket`, `Prefix` | Bytes | histogram | Sizes |\n"));
  EXPECT_THAT(table, HasSubstr("| `bale_quiet_total` | - | - | - | - | counter | For Prometheus alone |\n"));
  EXPECT_THAT(table,
              HasSubstr("| - | - | `Ratio` | `Bucket`, `Prefix` | Percent | histogram | For CloudWatch alone |\n"));
}

}  // namespace
}  // namespace bale::telemetry
