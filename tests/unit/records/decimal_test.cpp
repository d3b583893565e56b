#include "records/decimal.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/error.hpp"

namespace bale::records {
namespace {

std::string normal(std::string_view text) { return Decimal::parse(text).to_string(); }
std::string sum(std::string_view a, std::string_view b) { return (Decimal::parse(a) + Decimal::parse(b)).to_string(); }

TEST(Decimal, HasOneShortestSpelling) {
  EXPECT_EQ(normal("0"), "0");
  EXPECT_EQ(normal("-0.000"), "0");
  EXPECT_EQ(normal("+007.50"), "7.5");
  EXPECT_EQ(normal("1E3"), "1000");
  EXPECT_EQ(normal("12.5e-4"), "0.00125");
  EXPECT_EQ(normal(".5"), "0.5");
  EXPECT_EQ(normal("100"), "100");
  EXPECT_EQ(normal("-1e100"), "-1E+100");
  EXPECT_EQ(normal("1.5e-100"), "1.5E-100");
  EXPECT_EQ(normal("99999999999999999999999999999999999999"), "99999999999999999999999999999999999999");
}

TEST(Decimal, ParsesWhatItWrites) {
  for (const char* text : {"9.9E+125", "1E-130", "-1.2345678901234567890123456789012345678E-5", "1E+38", "12300"})
    EXPECT_EQ(normal(normal(text)), normal(text)) << text;
}

TEST(Decimal, RefusesWhatIsNoNumberOfDynamoDb) {
  for (const char* text : {"", "-", "x", "1x", "1.2.3", "1e", "e5", " 1", "1 ", "NaN", "Infinity", "0x10", "1E126",
                           "1E-131", "123456789012345678901234567890123456789"}) {
    try {
      Decimal::parse(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_EQ(error.code(), "ValidationException");
    }
  }
}

TEST(Decimal, AddsExactly) {
  EXPECT_EQ(sum("0.1", "0.2"), "0.3");
  EXPECT_EQ(sum("1", "-1"), "0");
  EXPECT_EQ(sum("999", "1"), "1000");
  EXPECT_EQ(sum("-0.05", "0.1"), "0.05");
  EXPECT_EQ(sum("-5", "3"), "-2");
  EXPECT_EQ(sum("5", "-7.5"), "-2.5");
  EXPECT_EQ(sum("9007199254740993", "1"), "9007199254740994");  // no double holds it
  EXPECT_EQ(sum("99999999999999999999999999999999999999", "1"), "100000000000000000000000000000000000000");
  EXPECT_THROW(sum("1E100", "1"), Error);  // 101 digits
  EXPECT_THROW(sum("9.9E125", "1E125"), Error);
}

TEST(Decimal, AddsAsIntegersDo) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto a = static_cast<std::int64_t>(random() >> (2 + random() % 60)) * (i % 2 ? 1 : -1);
    const auto b = static_cast<std::int64_t>(random() >> (2 + random() % 60)) * (i % 3 ? 1 : -1);
    EXPECT_EQ(sum(std::to_string(a), std::to_string(b)), std::to_string(a + b));
    EXPECT_EQ(Decimal::parse(std::to_string(a)) < Decimal::parse(std::to_string(b)), a < b);
  }
}

TEST(Decimal, OrdersByValueInItsKey) {
  const std::vector<std::string> ordered = {"-1E+125", "-100", "-99.9",  "-12.3", "-12",   "-2",    "-1",      "-0.5",
                                            "-1E-130", "0",    "1E-130", "0.05",  "0.5",   "1",     "1.5",     "1.55",
                                            "2",       "10",   "12",     "123",   "1E+37", "1E+38", "9.9E+125"};
  for (std::size_t i = 1; i < ordered.size(); ++i)
    EXPECT_LT(Decimal::parse(ordered[i - 1]).sort_key(), Decimal::parse(ordered[i]).sort_key()) << ordered[i];
}

}  // namespace
}  // namespace bale::records
