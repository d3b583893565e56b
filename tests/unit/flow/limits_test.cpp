#include <gtest/gtest.h>

#include "flow/rate_limit.hpp"
#include "flow/stop_after.hpp"
#include "support/fake_world.hpp"

namespace bale::flow {
namespace {

TEST(RateLimit, PassesSoManyBytesASecond) {
  testing::FakeClock clock;
  RateLimit limit(clock, [] { return std::optional<ByteCount>(1000); });
  const auto begun = clock.steady();
  for (int i = 0; i < 100; ++i) limit.pass(100);
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(clock.steady() - begun);
  // One second's bytes are saved up at the beginning.
  EXPECT_EQ(took.count(), 9);
}

TEST(RateLimit, APauseSavesUpOneSecondAtMost) {
  testing::FakeClock clock;
  RateLimit limit(clock, [] { return std::optional<ByteCount>(1000); });
  limit.pass(1000);
  clock.advance(std::chrono::hours(1));
  const auto begun = clock.steady();
  limit.pass(3000);
  EXPECT_EQ(std::chrono::duration_cast<std::chrono::seconds>(clock.steady() - begun).count(), 2);
}

TEST(RateLimit, WithoutALimitNothingWaits) {
  testing::FakeClock clock;
  RateLimit limit(clock, [] { return std::optional<ByteCount>(); });
  const auto begun = clock.steady();
  limit.pass(1ULL << 40);
  EXPECT_EQ(clock.steady(), begun);
}

TEST(StopAfter, AnOuterStopIsPassedOn) {
  testing::FakeClock clock;
  std::stop_source outer;
  const StopAfter stop(outer.get_token(), clock, std::nullopt);
  EXPECT_FALSE(stop.token().stop_requested());
  outer.request_stop();
  EXPECT_TRUE(stop.token().stop_requested());
  EXPECT_FALSE(stop.is_time_over());
}

TEST(StopAfter, TheEndOfTheTimeIsTold) {
  StopAfter stop({}, os::system_clock(), Milliseconds(1));
  while (!stop.token().stop_requested()) os::system_clock().sleep_for(Milliseconds(1));
  EXPECT_TRUE(stop.is_time_over());
}

}  // namespace
}  // namespace bale::flow
