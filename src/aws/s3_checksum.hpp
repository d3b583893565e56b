// How S3 writes checksums in headers and XML.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "store/object_store.hpp"

namespace bale::aws {

/// The names of a checksum algorithm in S3's protocol.
struct ChecksumNames {
  store::Checksum::Algorithm algorithm;
  const char* word;     ///< value of x-amz-checksum-algorithm
  const char* header;   ///< of a request or response that carries the checksum
  const char* element;  ///< of a part in XML
  std::size_t bytes;    ///< length of the checksum
  /// Value of x-amz-checksum-type: what the checksum of an upload in parts is made of, the bytes (FULL_OBJECT) or the
  /// checksums of the parts (COMPOSITE).
  const char* type_of_uploads;
};

/// All algorithms, the cheapest first.
inline constexpr std::array<ChecksumNames, 5> checksum_names{{
    {store::Checksum::Algorithm::crc64nvme, "CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8,
     "FULL_OBJECT"},
    {store::Checksum::Algorithm::crc32c, "CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4, "FULL_OBJECT"},
    {store::Checksum::Algorithm::crc32, "CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4, "FULL_OBJECT"},
    {store::Checksum::Algorithm::sha1, "SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 20, "COMPOSITE"},
    {store::Checksum::Algorithm::sha256, "SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 32, "COMPOSITE"},
}};

/// Returns the names of an algorithm.
const ChecksumNames& names_of(store::Checksum::Algorithm algorithm) noexcept;

/// Parses a checksum of the algorithm from its base64. Absent for other text, such as "...-3", a checksum of the
/// checksums of 3 parts.
std::optional<store::Checksum> parse_checksum(const ChecksumNames& names, std::string_view base64);

/// Returns the base64 of a checksum.
std::string encode_checksum(const store::Checksum& checksum);

}  // namespace bale::aws
