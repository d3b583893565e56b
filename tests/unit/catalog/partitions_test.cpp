// Which partitions are listed, whatever clock is wrong.
#include "catalog/partitions.hpp"

#include <gtest/gtest.h>

namespace bale::testing {
namespace {

using namespace bale::catalog;

TEST(Partitions, NoSingleClockThatIsAheadClosesAPartition) {
  const TimePoint now = parse_time("2025-06-15");
  for (const std::string ahead : {"2025-06-25", "2029-01-01", "9999-12-31"}) {
    const TimePoint wrong = parse_time(ahead);
    EXPECT_EQ(first_open_day({now, wrong, now}), parse_time("2025-06-08")) << "a packer's clock";
    EXPECT_EQ(first_open_day({wrong, now, now}), parse_time("2025-06-08")) << "the reader's clock";
    EXPECT_EQ(first_open_day({now, now, wrong}), parse_time("2025-06-08")) << "the store's clock";
  }
  EXPECT_EQ(first_open_day({parse_time("1970-01-10"), now, now}), parse_time("1970-01-03")) << "more is listed";
  EXPECT_EQ(first_open_day({now, std::nullopt, std::nullopt}), parse_time("2025-06-08"));
}

TEST(Partitions, TheFutureIsKnownByEitherClock) {
  const TimePoint now = parse_time("2025-06-15T10:00:00Z");
  EXPECT_FALSE(is_in_future(parse_time("2025-06-15"), now, now));
  EXPECT_FALSE(is_in_future(parse_time("2019-01-01"), now, now));
  EXPECT_TRUE(is_in_future(parse_time("2025-06-16"), now, now));
  EXPECT_TRUE(is_in_future(parse_time("2025-06-16"), parse_time("2030-01-01"), now)) << "stored by a wrong clock";
  EXPECT_TRUE(is_in_future(parse_time("2025-06-16"), now, parse_time("2030-01-01"))) << "read by a wrong clock";
  EXPECT_FALSE(is_in_future(parse_time("2025-06-15"), TimePoint{}, now));
}

TEST(Partitions, OnlyDaysOfTheCalendarAreTimes) {
  EXPECT_EQ(partition_time(ObjectKey("a/year=2025/month=02/day=28/f.jsonl")), parse_time("2025-02-28"));
  for (const char* key : {"a/year=2025/month=02/day=31/f.jsonl", "a/year=2025/month=13/day=01/f.jsonl",
                          "a/year=12025/month=02/day=01/f.jsonl", "a/f.jsonl"})
    EXPECT_EQ(partition_time(ObjectKey(key)), std::nullopt) << key;
}

}  // namespace
}  // namespace bale::testing
