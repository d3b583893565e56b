#include "flow/adaptive_limit.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "support/fake_world.hpp"

namespace bale::flow {
namespace {

TEST(AdaptiveLimit, HalvesOnceASecondAndRecovers) {
  testing::FakeClock clock;
  AdaptiveLimit limit(clock, 8);
  EXPECT_EQ(limit.places(), 8U);
  limit.throttled();
  limit.throttled();  // requests under way are throttled together
  EXPECT_EQ(limit.places(), 4U);
  clock.advance(std::chrono::seconds(1));
  limit.throttled();
  EXPECT_EQ(limit.places(), 2U);
  for (int i = 0; i < 2 + 3; ++i) limit.succeeded();
  EXPECT_EQ(limit.places(), 4U);
  for (int i = 0; i < 100; ++i) limit.succeeded();
  EXPECT_EQ(limit.places(), 8U) << "never more than at the beginning";
  for (int i = 0; i < 10; ++i) {
    clock.advance(std::chrono::seconds(1));
    limit.throttled();
  }
  EXPECT_EQ(limit.places(), 1U);
}

TEST(AdaptiveLimit, WhoHasNoPlaceWaitsForOne) {
  testing::FakeClock clock;
  AdaptiveLimit limit(clock, 1);
  auto first = std::make_unique<AdaptiveLimit::Place>(limit, std::stop_token());
  std::atomic<bool> has_place{false};
  std::jthread other([&] {
    const AdaptiveLimit::Place place(limit, std::stop_token());
    has_place = true;
  });
  EXPECT_FALSE(has_place);
  first.reset();
  other.join();
  EXPECT_TRUE(has_place);
}

TEST(AdaptiveLimit, AfterAStopNobodyWaits) {
  testing::FakeClock clock;
  AdaptiveLimit limit(clock, 1);
  const AdaptiveLimit::Place first(limit, std::stop_token());
  std::stop_source stop;
  stop.request_stop();
  const AdaptiveLimit::Place second(limit, stop.get_token());
}

}  // namespace
}  // namespace bale::flow
