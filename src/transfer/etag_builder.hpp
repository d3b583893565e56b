// The ETag that S3 gives to bytes that are uploaded in parts of one size.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/names.hpp"

namespace bale::transfer {

/// Returns how many parts the AWS command line, boto3 and Bale upload `size` bytes in: 0 means one PUT, below
/// `part_bytes`. An object of exactly one part is uploaded as an upload of one part, whose ETag ends with "-1".
std::uint32_t count_parts(ByteCount size, ByteCount part_bytes) noexcept;

/// Computes an ETag from the bytes, given in order: the MD5 of fewer than `part_bytes` bytes; else the MD5 of the
/// parts' MD5s, with "-" and the number of parts.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
/// Not thread-safe.
class EtagBuilder {
 public:
  /// `part_bytes` is above 0.
  explicit EtagBuilder(ByteCount part_bytes) : part_bytes_(part_bytes) {}
  void update(ByteView bytes);
  /// Returns the ETag of all bytes so far. To be called once.
  ETag finish();

 private:
  void end_part();
  const ByteCount part_bytes_;
  ByteCount in_part_ = 0;
  std::uint32_t parts_ = 0;
  Md5 part_;
  Md5 parts_digest_;  ///< of the digests of the parts that are complete
};

}  // namespace bale::transfer
