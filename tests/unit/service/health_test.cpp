#include "service/health.hpp"

#include <gtest/gtest.h>

#include "service/metrics.hpp"
#include "support/fake_world.hpp"

namespace bale::service {
namespace {

class HealthTest : public ::testing::Test {
 protected:
  testing::FakeWorld outside;
  Health health{outside.clock};
  Health::Loop& loop = health.add("source eu-west-1");
};

TEST_F(HealthTest, LastsTwoMinutesAfterAnAnswer) {
  outside.clock.advance(std::chrono::seconds(119));
  EXPECT_TRUE(all_healthy(health.report()));
  outside.clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(all_healthy(health.report()));
  loop.answered();
  EXPECT_TRUE(all_healthy(health.report()));
}

TEST_F(HealthTest, IsThatOfEveryLoop) {
  Health::Loop& other = health.add("target");
  outside.clock.advance(std::chrono::minutes(3));
  other.answered();
  const auto report = health.report();
  EXPECT_FALSE(report.at(0).healthy);
  EXPECT_TRUE(report.at(1).healthy);
  EXPECT_FALSE(all_healthy(report));
}

TEST_F(HealthTest, OutlastsLongWork) {
  {
    const Health::Loop::Work work(loop);
    outside.clock.advance(std::chrono::hours(1));
    EXPECT_TRUE(all_healthy(health.report()));
  }
  EXPECT_TRUE(all_healthy(health.report())) << "it could not ask its queue meanwhile";
  outside.clock.advance(std::chrono::minutes(2));
  EXPECT_FALSE(all_healthy(health.report()));
}

TEST_F(HealthTest, TellsTheErrorUntilTheNextAnswer) {
  loop.failed(Error(ErrorKind::unavailable, "no \"queue\""));
  outside.clock.advance(std::chrono::seconds(130));
  EXPECT_EQ(health_json(health.report()),
            "{\"status\":\"failing\",\"loops\":[{\"name\":\"source eu-west-1\",\"healthy\":false,\"working\":false,"
            "\"silent_seconds\":130,\"error\":\"no \\\"queue\\\"\"}]}\n");
  loop.answered();
  EXPECT_EQ(health.report().at(0).error, "");
}

}  // namespace
}  // namespace bale::service
