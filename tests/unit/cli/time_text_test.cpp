#include "cli/time_text.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::cli {
namespace {

std::string read(std::string_view text) { return to_iso8601(parse_time_text(text)); }

TEST(TimeText, TakesWhatGitWrites) {
  const std::string utc = "2025-01-23T09:05:07.000Z";
  EXPECT_EQ(read("2025-01-23 09:05:07 +0000"), utc);  // --date=iso
  EXPECT_EQ(read("2025-01-23 11:05:07 +0200"), utc);
  EXPECT_EQ(read("2025-01-23T11:05:07+02:00"), utc);        // --date=iso-strict
  EXPECT_EQ(read("Thu Jan 23 09:05:07 2025 +0000"), utc);   // the default
  EXPECT_EQ(read("Thu, 23 Jan 2025 04:05:07 -0500"), utc);  // --date=rfc
  EXPECT_EQ(read("1737623107 +0200"), utc);                 // --date=raw
  EXPECT_EQ(read("1737623107"), utc);                       // --date=unix
  EXPECT_EQ(read("Sun Mar 2 01:02:03 2025 -0130"), "2025-03-02T02:32:03.000Z");
}

TEST(TimeText, TakesWhatDateWrites) {
  const std::string utc = "2025-01-23T09:05:07.000Z";
  EXPECT_EQ(read("Thu Jan 23 09:05:07 UTC 2025"), utc);
  EXPECT_EQ(read("Thu, 23 Jan 2025 09:05:07 GMT"), utc);
  EXPECT_EQ(read("2025-01-23 09:05:07.25+00:00"), "2025-01-23T09:05:07.250Z");         // --rfc-3339=ns
  EXPECT_EQ(read("2025-01-23T09:05:07,123456789+00:00"), "2025-01-23T09:05:07.123Z");  // -Ins
  EXPECT_EQ(read("2025-01-23T09:05+00:00"), "2025-01-23T09:05:00.000Z");               // -Iminutes
  EXPECT_EQ(read("2025-01-23T09+00:00"), "2025-01-23T09:00:00.000Z");                  // -Ihours
  EXPECT_EQ(read("Thu Jan 23 09:05:07 AM UTC 2025"), utc);                             // in en_US
  EXPECT_EQ(read("Thu 23 Jan 2025 09:05:07 AM UTC"), utc);
  EXPECT_EQ(read("Thu 23 Jan 2025 12:05:07 AM UTC"), "2025-01-23T00:05:07.000Z");
  EXPECT_EQ(read("Thu 23 Jan 2025 12:05:07 PM UTC"), "2025-01-23T12:05:07.000Z");
  EXPECT_EQ(read("Thu 23 Jan 2025 9:05:07 pm UTC"), "2025-01-23T21:05:07.000Z");
  EXPECT_EQ(read("20250123T090507Z"), utc);  // +%Y%m%dT%H%M%SZ
  EXPECT_EQ(read("20250123T110507+0200"), utc);
  EXPECT_EQ(read("2025-01-23"), "2025-01-23T00:00:00.000Z");
  EXPECT_EQ(read("2025-01-23 09:05"), "2025-01-23T09:05:00.000Z");
}

TEST(TimeText, TakesWhatRfc3339Allows) {
  const std::string utc = "2025-01-23T09:05:07.000Z";
  EXPECT_EQ(read("2025-01-23t09:05:07z"), utc);
  EXPECT_EQ(read("2025-01-23T09:05:07-00:00"), utc);
  EXPECT_EQ(read("2025-01-23 09:05:07z"), utc);
  EXPECT_EQ(read("2025-01-23 09:05:07 Z"), utc);
  EXPECT_EQ(read("2025-01-23T11:05:07+02"), utc);
  EXPECT_EQ(read("  2025-01-23   09:05:07  "), utc);
}

TEST(TimeText, TakesSecondsSince1970) {
  EXPECT_EQ(read("@1737623107"), "2025-01-23T09:05:07.000Z");
  EXPECT_EQ(read("@1737623107.5"), "2025-01-23T09:05:07.500Z");
  EXPECT_EQ(read("@0"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(read("@-1"), "1969-12-31T23:59:59.000Z");
}

TEST(TimeText, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"",
                           " ",
                           "@",
                           "@x",
                           "@1.",
                           "20250123",
                           "yesterday",
                           "2025-01-23 09:05:07 CET",
                           "2025-13-01",
                           "2025-01-23 +0200 09:05:07",
                           "Thu Jan 23 2025",
                           "Jan 32 09:05:07 2025",
                           "2025-01-23 09:05:07 +0000 +0000",
                           "23 Foo 2025 09:05:07",
                           "@123456789012",
                           "Thu Jan 23 13:05:07 PM UTC 2025",
                           "Thu Jan 23 00:05:07 AM UTC 2025",
                           "20250123T0905Z",
                           "20251323T090507Z",
                           "2025-01-23T09"}) {
    EXPECT_EQ(testing::error_of([&] { parse_time_text(text); }).kind(), ErrorKind::invalid) << text;
  }
  EXPECT_EQ(testing::error_of([] { parse_time_text("\x1b[31mred"); }).summary(), "'\\x1b[31mred' is not a time");
}

}  // namespace
}  // namespace bale::cli
