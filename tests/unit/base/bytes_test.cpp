#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale {
namespace {

TEST(FormatBytes, IsShortAndRounds) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(8 << 20), "8.0 MiB");
  EXPECT_EQ(format_bytes((1 << 20) - 1), "1.0 MiB");  // not "1024.0 KiB"
  EXPECT_EQ(format_bytes(ByteCount{5} << 40), "5.0 TiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(ParseBytes, ReadsEveryUnit) {
  EXPECT_EQ(parse_bytes("0"), 0u);
  EXPECT_EQ(parse_bytes("8388608"), 8388608u);
  EXPECT_EQ(parse_bytes("17B"), 17u);
  EXPECT_EQ(parse_bytes("8MiB"), 8u << 20);
  EXPECT_EQ(parse_bytes("8M"), 8u << 20);
  EXPECT_EQ(parse_bytes("8 MiB"), 8u << 20);
  EXPECT_EQ(parse_bytes("1.5GiB"), ByteCount{3} << 29);
  EXPECT_EQ(parse_bytes("10KB"), 10'000u);
  EXPECT_EQ(parse_bytes("2k"), 2048u);
  EXPECT_EQ(parse_bytes("3TB"), 3'000'000'000'000u);
}

TEST(ParseBytes, IsExactForNumbersThatADoubleIsNot) {
  EXPECT_EQ(parse_bytes("9007199254740993"), 9007199254740993u);
  EXPECT_EQ(parse_bytes("5497558138881"), 5497558138881u);
}

TEST(ParseBytes, RefusesWhatIsNoSize) {
  for (const char* text : {"", "MiB", "-1", "+1", " 1", "1 ", "1.2.3", "1XB", "1MiBs", "nan", "inf", "0x10", "1e3",
                           "1,5M", "99999999999999999999", "9E"}) {
    EXPECT_THROW(parse_bytes(text), Error) << "'" << text << "'";
  }
}

TEST(ParseBytes, ReadsWhatFormatBytesWrites) {
  for (const ByteCount bytes : {0ull, 1ull, 1023ull, 1024ull, 8ull << 20, 3ull << 29, 5ull << 40})
    EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes);
}

TEST(Buffer, KeepsWhatIsAppended) {
  Buffer buffer(8);
  EXPECT_EQ(buffer.size(), 0u);
  buffer.append(as_bytes("abc"));
  buffer.append({});
  buffer.append(as_bytes("de"));
  EXPECT_EQ(as_text(buffer.view()), "abcde");
  EXPECT_EQ(buffer.spare().size(), 3u);
  const Buffer moved = std::move(buffer);
  EXPECT_EQ(as_text(moved.view()), "abcde");
}

TEST(Buffer, AMovedFromBufferIsEmpty) {
  Buffer buffer(8);
  buffer.append(as_bytes("abc"));
  const Buffer moved = std::move(buffer);
  EXPECT_EQ(buffer.size(), 0u);  // NOLINT(bugprone-use-after-move): what is promised here
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST(Buffer, ShrinksWhereThatIsWorthIt) {
  Buffer large(1 << 20);
  large.append(as_bytes("abc"));
  large.shrink();
  EXPECT_EQ(large.capacity(), 3u);
  EXPECT_EQ(as_text(large.view()), "abc");
  Buffer full(100);
  full.resize(90);
  full.shrink();
  EXPECT_EQ(full.capacity(), 100u);
}

}  // namespace
}  // namespace bale
