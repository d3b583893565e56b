#include "base/time.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale {
namespace {

const TimePoint moment = from_epoch_ms(1'737'623'107'123);  // 2025-01-23 09:05:07.123 UTC

TEST(Time, IsWrittenInEveryForm) {
  EXPECT_EQ(to_iso8601(moment), "2025-01-23T09:05:07.123Z");
  EXPECT_EQ(to_timestamp(moment), "2025-01-23 09:05:07");
  EXPECT_EQ(to_date(moment), "2025-01-23");
  EXPECT_EQ(to_http_date(moment), "Thu, 23 Jan 2025 09:05:07 GMT");
  EXPECT_EQ(to_iso8601(from_epoch_ms(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_iso8601(from_epoch_ms(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_http_date(from_epoch_ms(784'111'777'000)), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110
}

TEST(Time, IsReadInEveryForm) {
  const auto day = from_epoch_ms(1'737'590'400'000);
  EXPECT_EQ(parse_time("2025-01-23"), day);
  EXPECT_EQ(parse_time("2025-01-23 09:05"), day + std::chrono::minutes(545));
  EXPECT_EQ(parse_time("2025-01-23 09:05:07"), from_epoch_ms(1'737'623'107'000));
  EXPECT_EQ(parse_time("2025-01-23T09:05:07Z"), from_epoch_ms(1'737'623'107'000));
  EXPECT_EQ(parse_time("2025-01-23T09:05:07.123Z"), moment);
  EXPECT_EQ(parse_time("2025-01-23T09:05:07.123999Z"), moment);
  EXPECT_EQ(parse_time("2025-01-23T09:05:07.1Z"), from_epoch_ms(1'737'623'107'100));
  EXPECT_EQ(parse_time("2025-01-23T10:35:07.123+01:30"), moment);
  EXPECT_EQ(parse_time("2025-01-23T04:05:07.123-0500"), moment);
  EXPECT_EQ(parse_time("2024-02-29"), from_epoch_ms(1'709'164'800'000));
  EXPECT_EQ(parse_time(to_iso8601(moment)), moment);
}

TEST(Time, RefusesWhatIsNone) {
  for (const char* text : {"", "2025", "2025-1-23", "2025-13-01", "2025-02-29", "2025-01-23T", "2025-01-23T9:05",
                           "2025-01-23T24:00:00", "2025-01-23T09:60:00", "2025-01-23T09:05:61", "2025-01-23T09:05:07.",
                           "2025-01-23T09:05:07 Z", "2025-01-23T09:05:07Zx", "2025-01-23T09:05:07+1", "yesterday",
                           "2025-01-23T09:05:07+25:00", "2025-01-23T09:05:07+01:60"}) {
    EXPECT_THROW(parse_time(text), Error) << text;
  }
}

TEST(Time, AndDurationsAreShownWithoutWhatMovesACursor) {
  for (const char* text : {"\x1b[31m", "2025-01-23\n\x1b", "\r1\bd"}) {
    for (const bool is_time : {true, false}) {
      try {
        is_time ? static_cast<void>(parse_time(text)) : static_cast<void>(parse_duration(text));
        ADD_FAILURE() << text;
      } catch (const Error& error) {
        EXPECT_EQ(error.summary().find_first_of("\x1b\n\r\b"), std::string::npos) << error.summary();
      }
    }
  }
}

TEST(Duration, IsShortAndRounds) {
  EXPECT_EQ(format_duration(Milliseconds(0)), "0 ms");
  EXPECT_EQ(format_duration(Milliseconds(999)), "999 ms");
  EXPECT_EQ(format_duration(Milliseconds(12'340)), "12.3 s");
  EXPECT_EQ(format_duration(Milliseconds(59'999)), "1 min 0 s");  // not "60.0 s"
  EXPECT_EQ(format_duration(Milliseconds(245'000)), "4 min 5 s");
  EXPECT_EQ(format_duration(Milliseconds(7'380'000)), "2 h 3 min");
}

TEST(Duration, IsReadWithItsUnit) {
  EXPECT_EQ(parse_duration("30s"), std::chrono::seconds(30));
  EXPECT_EQ(parse_duration("90m"), std::chrono::minutes(90));
  EXPECT_EQ(parse_duration("36h"), std::chrono::hours(36));
  EXPECT_EQ(parse_duration("7d"), std::chrono::days(7));
  EXPECT_EQ(parse_duration("0d"), Milliseconds(0));
  EXPECT_EQ(parse_duration("36525d"), std::chrono::days(36'525));
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text : {"", "7", "d", "-7d", "7 d", "1.5h", "7w", "7D", "7d1h", "36526d", "99999999999999999999d"}) {
    EXPECT_THROW(parse_duration(text), Error) << text;
  }
}

TEST(HttpDates, AreRead) {
  EXPECT_EQ(to_iso8601(parse_http_date("Sat, 29 Feb 2020 23:59:59 GMT").value()), "2020-02-29T23:59:59.000Z");
  for (const char* text : {"", "Sat, 29 Feb 2020 23:59:59 UTC", "Sat, 29 anF 2020 23:59:59 GMT",
                           "Sat, 31 Feb 2020 23:59:59 GMT", "2020-02-29T23:59:59Z"})
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
}

}  // namespace
}  // namespace bale
