#include "base/varint.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace bale {
namespace {

TEST(Varint, NumbersComeBackInAsFewBytesAsTheyNeed) {
  for (const auto& [value, size] : {std::pair<std::uint64_t, std::size_t>{0, 1},
                                    {127, 1},
                                    {128, 2},
                                    {16383, 2},
                                    {16384, 3},
                                    {std::numeric_limits<std::uint64_t>::max(), 10}}) {
    std::string bytes = "before";
    put_varint(bytes, value);
    EXPECT_EQ(bytes.size(), 6 + size) << value;
    bytes += "behind";
    std::string_view in = std::string_view(bytes).substr(6);
    EXPECT_EQ(take_varint(in), value);
    EXPECT_EQ(in, "behind");
  }
}

TEST(Varint, WhatIsNotWholeIsNoNumber) {
  for (std::string_view in : {std::string_view(), std::string_view("\x80"), std::string_view("\xff\xff"),
                              std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")})
    EXPECT_FALSE(take_varint(in));
}

}  // namespace
}  // namespace bale
