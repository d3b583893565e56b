#include "base/crc.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bale {
namespace {

const CrcPolynomial all[] = {crc64nvme, crc32c, crc32_ieee};

TEST(Crc, HasTheCheckValuesOfTheCatalogue) {  // https://reveng.sourceforge.io/crc-catalogue/all.htm
  EXPECT_EQ(crc_of(crc64nvme, as_bytes("123456789")), 0xAE8B14860A799888U);
  EXPECT_EQ(crc_of(crc32c, as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc_of(crc32_ieee, as_bytes("123456789")), 0xCBF43926U);
  for (const CrcPolynomial& crc : all) EXPECT_EQ(crc_of(crc, {}), 0U);
}

TEST(Crc, OfLongBytesIsThatOfTheirBytesOneByOne) {
  std::vector<std::byte> bytes(5000);
  std::uint32_t chance = 1;
  for (std::byte& b : bytes) b = std::byte(static_cast<unsigned char>((chance = chance * 1664525 + 1013904223) >> 24));
  for (const CrcPolynomial& crc : all) {
    for (const std::size_t size : {1, 7, 8, 15, 16, 63, 64, 65, 79, 80, 127, 128, 129, 191, 192, 1000, 4099}) {
      const ByteView view(bytes.data() + size % 5, size);
      std::uint64_t slow = 0;
      for (std::size_t i = 0; i < size; ++i) slow = crc_of(crc, view.subspan(i, 1), slow);
      EXPECT_EQ(crc_of(crc, view), slow) << crc.width << " bits, " << size << " bytes";
      const std::size_t cut = size / 3;
      const std::uint64_t first = crc_of(crc, view.first(cut)), second = crc_of(crc, view.subspan(cut));
      EXPECT_EQ(crc_of(crc, view.subspan(cut), first), slow) << "one after the other";
      EXPECT_EQ(join_crcs(crc, first, second, size - cut), slow) << "joined";
    }
  }
}

}  // namespace
}  // namespace bale
