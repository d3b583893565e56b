// Cyclic redundancy checks of S3's checksums: at the speed of memory where the processor multiplies without carries
// (x86-64 PCLMULQDQ), and joinable, so that ranges read in parallel give the checksum of the whole.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace bale {

/// What tells one CRC from another. All three are reflected, with all bits set at the start and inverted at the end.
struct CrcPolynomial {
  unsigned width = 64;          ///< bits
  std::uint64_t reflected = 0;  ///< the polynomial, its lowest power in the highest bit of `width`
};

/// CRC-64/NVME: NVM Express base specification 2.0, 5.2.1.3.4; Amazon's CRC64NVME.
inline constexpr CrcPolynomial crc64nvme{64, 0x9A6C9329AC4BC9B5};
/// CRC-32C (Castagnoli): RFC 3720, 12.1.
inline constexpr CrcPolynomial crc32c{32, 0x82F63B78};
/// CRC-32 of IEEE 802.3, as zlib computes it.
inline constexpr CrcPolynomial crc32_ieee{32, 0xEDB88320};

/// Returns the checksum of the bytes that `before` is the checksum of, followed by `bytes`. 0 is the checksum of
/// nothing. Thread-safe.
std::uint64_t crc_of(const CrcPolynomial& crc, ByteView bytes, std::uint64_t before = 0) noexcept;

/// Returns the checksum of two sequences of bytes, one after the other, from their checksums `first` and `second` and
/// the length of the second. Thread-safe.
std::uint64_t join_crcs(const CrcPolynomial& crc, std::uint64_t first, std::uint64_t second,
                        ByteCount second_bytes) noexcept;

}  // namespace bale
