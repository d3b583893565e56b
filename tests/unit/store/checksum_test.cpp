#include "store/checksum.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

using Algorithm = Checksum::Algorithm;

std::string hex_of(Algorithm algorithm, std::string_view text) {
  return to_hex(as_bytes(checksum_of(algorithm, as_bytes(text)).value));
}

/// The check values of the catalogue of CRCs, and of RFC 3174 and FIPS 180-4.
TEST(Checksum, HasItsPublishedValues) {
  EXPECT_EQ(hex_of(Algorithm::crc64nvme, "123456789"), "ae8b14860a799888");
  EXPECT_EQ(hex_of(Algorithm::crc32c, "123456789"), "e3069283");
  EXPECT_EQ(hex_of(Algorithm::crc32, "123456789"), "cbf43926");
  EXPECT_EQ(hex_of(Algorithm::sha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_of(Algorithm::sha256, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of(Algorithm::crc64nvme, ""), "0000000000000000");
}

TEST(Checksum, OfAWholeFollowsFromItsPiecesWhereItIsACrc) {
  const std::string first(100'000, 'a'), second(77, 'b');
  for (const Algorithm algorithm : {Algorithm::crc64nvme, Algorithm::crc32c, Algorithm::crc32}) {
    EXPECT_TRUE(is_joinable(algorithm));
    const Checksum of_first = checksum_of(algorithm, as_bytes(first)),
                   of_second = checksum_of(algorithm, as_bytes(second));
    EXPECT_EQ(join(of_first, of_second, second.size()), checksum_of(algorithm, as_bytes(first + second)));
    RunningChecksum running(algorithm);
    running.update(as_bytes(first));
    running.update(as_bytes(second));
    EXPECT_EQ(running.finish(), checksum_of(algorithm, as_bytes(first + second)));
  }
  const Checksum sha = checksum_of(Algorithm::sha256, as_bytes(first));
  EXPECT_FALSE(is_joinable(Algorithm::sha256));
  EXPECT_THROW(join(sha, sha, first.size()), Error);
  EXPECT_THROW(join(checksum_of(Algorithm::crc32, {}), checksum_of(Algorithm::crc32c, {}), 0), Error);
}

}  // namespace
}  // namespace bale::store
