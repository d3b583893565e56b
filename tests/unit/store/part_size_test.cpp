#include "store/part_size.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::store {
namespace {

TEST(PartSize, IsReadAsTheAwsCommandLineDoes) {
  constexpr ByteCount mib = 1 << 20;
  for (const char* text : {"67108864", "64MB", "64mb", "64MiB", "64 MB", "65536KB", "64M"})
    EXPECT_EQ(parse_part_size(text, ""), 64 * mib) << text;
  EXPECT_EQ(parse_part_size("5MB", ""), 5 * mib);
  EXPECT_EQ(parse_part_size("5GB", ""), 5 * 1024 * mib);
}

TEST(PartSize, IsRefusedWhereS3RefusesIt) {
  for (const char* text : {"", "MB", "4MB", "5242879", "6GB", "1TB", "64XB", "64MBs", "-64MB", "1.5GB", "0x40000000",
                           "18446744073709551615", "18014398509481985TB", "5368709121TB"}) {
    try {
      parse_part_size(text, "--part-size");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_EQ(error.where(), "--part-size");
    }
  }
}

}  // namespace
}  // namespace bale::store
