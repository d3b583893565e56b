#include "jobs/raw/evidence.hpp"

#include <gtest/gtest.h>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "jobs/raw/part_size.hpp"
#include "support/fake_world.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::raw {
namespace {

using namespace literals;

store::Checksum checksum_of(std::uint64_t crc) {
  store::Checksum checksum;
  for (int shift = 56; shift >= 0; shift -= 8) checksum.value += static_cast<char>(crc >> shift & 0xFF);
  return checksum;
}

KnownFile known_of(std::string_view bytes, ByteCount part_bytes) {
  transfer::EtagBuilder etag(part_bytes);
  etag.update(as_bytes(bytes));
  return {bytes.size(), Md5::of(as_bytes(bytes)), etag.finish(), part_bytes, crc_of(crc64nvme, as_bytes(bytes))};
}

store::ObjectInfo object_of(std::string_view bytes, ByteCount part_bytes) {
  store::ObjectInfo object;
  object.size = bytes.size();
  object.etag = known_of(bytes, part_bytes).etag;
  return object;
}

TEST(Evidence, AnEqualEtagIsTheSame) {
  const Evidence evidence = compare_known(known_of("abcdef", 4), object_of("abcdef", 4));
  EXPECT_EQ(evidence.verdict, Verdict::same);
  EXPECT_EQ(evidence.by, "etag");
  EXPECT_EQ(evidence.part_bytes, 4U);
}

TEST(Evidence, AnEtagOfOnePutIsHeldAgainstTheWholeMd5) {
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object_of("abcdef", 100)).verdict, Verdict::same);
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object_of("abcdeF", 100)).verdict, Verdict::differs);
}

TEST(Evidence, AnEtagOfOtherPartsLeavesItToTheFile) {
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object_of("abcdef", 3)).verdict, Verdict::unknown);
}

TEST(Evidence, AnotherSizeDiffers) {
  const Evidence evidence = compare_known(known_of("abcdef", 4), object_of("abcde", 4));
  EXPECT_EQ(evidence.verdict, Verdict::differs);
  EXPECT_EQ(evidence.by, "size");
}

TEST(Evidence, AChecksumTellsWhereTheEtagIsNoMd5) {
  store::ObjectInfo object = object_of("abcdef", 100);
  object.etag = ETag(std::string(32, 'a'));
  object.is_etag_opaque = true;
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object).verdict, Verdict::unknown);
  object.checksum = checksum_of(crc_of(crc64nvme, as_bytes("abcdef")));
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object).verdict, Verdict::same);
  object.checksum = checksum_of(7);
  EXPECT_EQ(compare_known(known_of("abcdef", 4), object).verdict, Verdict::differs);
}

TEST(Evidence, PartSizesOfCommonToolsAreLikely) {
  EXPECT_EQ(likely_part_sizes(350_MiB, 44, 0), (std::vector<ByteCount>{8_MiB}));
  EXPECT_EQ(likely_part_sizes(350_MiB, 4, 0).front(), 100_MiB);
  EXPECT_EQ(likely_part_sizes(350_MiB, 4, 99_MiB), (std::vector<ByteCount>{99_MiB}));
  EXPECT_EQ(likely_part_sizes(6_MiB, 1, 0), (std::vector<ByteCount>{6_MiB}));
}

TEST(Evidence, AnMd5IsReadFromHexDigitsAlone) {
  EXPECT_EQ(read_md5("d41d8cd98f00b204e9800998ecf8427e"), Md5::of({}));
  EXPECT_EQ(read_md5("d41d8cd98f00b204e9800998ecf8427"), std::nullopt);
  EXPECT_EQ(read_md5("g41d8cd98f00b204e9800998ecf8427e"), std::nullopt);
}

TEST(RawPartSize, IsDoubledUntilThePartsAreFewEnough) {
  EXPECT_EQ(part_size_of(60_GiB, 5_MiB), 10_MiB);
  EXPECT_EQ(part_size_of(60_GiB, 500_MiB), 500_MiB);
  EXPECT_EQ(part_size_of(10'000 * 5_MiB, 5_MiB), 5_MiB);
  EXPECT_EQ(part_size_of(10'000 * 5_MiB + 1, 5_MiB), 10_MiB);
}

TEST(RawPartSize, RefusesWhatNoObjectCanHold) {
  EXPECT_EQ(part_size_of(10'000 * 5_GiB, 500_MiB), 5_GiB);
  EXPECT_THROW(part_size_of(10'000 * 5_GiB + 1, 500_MiB), Error);
}

}  // namespace
}  // namespace bale::raw
