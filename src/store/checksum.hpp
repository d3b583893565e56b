// Checksums of bytes, as S3 computes them. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/crc.hpp"
#include "base/hash.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// The name of an algorithm in lower case, as in x-amz-checksum-crc64nvme.
std::string_view to_string(Checksum::Algorithm algorithm) noexcept;

/// Whether the checksum of two sequences of bytes, one after the other, follows from theirs: CRCs. Of uploads in parts,
/// S3 keeps such checksums of the whole object.
bool is_joinable(Checksum::Algorithm algorithm) noexcept;

/// Returns the checksum of two sequences of bytes, one after the other, from their checksums, which are of one joinable
/// algorithm, and the length of the second.
Checksum join(const Checksum& first, const Checksum& second, ByteCount second_bytes);

/// A checksum of bytes as they come. Not thread-safe. Move-only.
class RunningChecksum {
 public:
  explicit RunningChecksum(Checksum::Algorithm algorithm);
  void update(ByteView bytes);
  /// The checksum of all bytes so far. To be called once.
  Checksum finish();

 private:
  struct Crc {
    const CrcPolynomial* polynomial;
    std::uint64_t value;
  };
  const Checksum::Algorithm algorithm_;
  std::variant<Crc, Sha256, Sha1> state_;
};

/// Returns the checksum of bytes.
Checksum checksum_of(Checksum::Algorithm algorithm, ByteView bytes);

}  // namespace bale::store
