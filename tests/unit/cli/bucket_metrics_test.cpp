// Metrics of `bale bucket`, as CloudWatch reads them.
#include "cli/bucket_metrics.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/context.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

using nlohmann::json;

TEST(RecoveryMetricLines, HaveTheNamesDimensionsAndValuesOfTheScripts) {
  const auto lines = recovery_metric_lines({{"ObjectsToRestore", 0}, {"ObjectsInmy-bucket", 12}}, "Prod",
                                           from_epoch_ms(1'700'000'000'000));
  ASSERT_EQ(lines.size(), 2U);
  const json in_bucket = json::parse(lines[0]), to_restore = json::parse(lines[1]);
  EXPECT_EQ(in_bucket["ObjectsInmy-bucket"], 12);
  EXPECT_EQ(in_bucket["Prod"], "ObjectsInmy-bucket");
  EXPECT_EQ(to_restore["ObjectsToRestore"], 0) << "no objects are 0, not 0.1";
  const json& directive = to_restore["_aws"]["CloudWatchMetrics"][0];
  EXPECT_EQ(to_restore["_aws"]["Timestamp"], 1'700'000'000'000);
  EXPECT_EQ(directive["Namespace"], "BackupRecovery");
  EXPECT_EQ(directive["Dimensions"], json::parse(R"([["Prod"]])"));
  EXPECT_EQ(directive["Metrics"][0]["Unit"], "Count");
}

TEST(BucketMetrics, AreWrittenOnceAMinuteAndAtTheEnd) {
  testing::FakeWorld world;
  GlobalOptions options;
  options.local = world.path("store");
  Context context(world.world(), resolve(options, world.environment));
  BucketMetrics metrics(context, "Dev", true);
  metrics.add("RestoreObjectsErrors");
  metrics.flush_if_due();
  EXPECT_EQ(world.terminal.take_output(), "");
  world.clock.advance(std::chrono::minutes(1));
  metrics.add("RestoreObjectsErrors", 2);
  metrics.flush_if_due();
  EXPECT_EQ(json::parse(world.terminal.take_output())["RestoreObjectsErrors"], 3);
  metrics.flush();
  EXPECT_EQ(world.terminal.take_output(), "") << "nothing came in since";
  BucketMetrics off(context, "Dev", false);
  off.set("ObjectsToRestore", 1);
  off.flush();
  EXPECT_EQ(world.terminal.take_output(), "");
}

}  // namespace
}  // namespace bale::cli
