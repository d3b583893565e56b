// The bytes of objects and parts on a scripted S3 server, and their digests.
//
// Zeros take no memory and, where a body is nothing else, are hashed once for each length: an upload of a sparse file
// of many GiB costs its way through the socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace bale::testing::s3 {

/// Bytes as pieces in memory and runs of zeros. Copies share the pieces. Not thread-safe while changed.
class Content {
 public:
  Content() = default;
  explicit Content(std::string bytes) { append(std::move(bytes)); }

  void append(std::string bytes);
  void append_zeros(ByteCount count);
  /// Appends `length` bytes of `other` from `offset` on; they must be there.
  void append(const Content& other, ByteCount offset, ByteCount length);
  void append(const Content& other) { append(other, 0, other.size()); }
  ByteCount size() const noexcept { return size_; }
  /// Gives `length` bytes from `offset` on to `take`, piece by piece, until it returns false. Returns whether all were
  /// taken.
  bool read(ByteCount offset, ByteCount length, const std::function<bool(std::string_view)>& take) const;
  /// Returns all bytes as one string.
  std::string text() const;
  /// Inverts bit 0..7 of the byte at `offset`, which must be there.
  void flip(ByteCount offset, unsigned bit);

 private:
  struct Piece {
    std::shared_ptr<const std::string> bytes;  ///< null: zeros
    ByteCount offset = 0;                      ///< in `bytes`
    ByteCount size = 0;
  };
  std::vector<Piece> pieces_;
  ByteCount size_ = 0;
};

/// Digests of one body. The slow ones are there where they were asked for.
struct Digests {
  ByteCount size = 0;
  Md5Digest md5{};
  std::uint64_t crc64nvme = 0, crc32c = 0, crc32 = 0;
  std::optional<Sha256Digest> sha256;
  std::optional<Digest<20>> sha1;
};

/// Which digests a Digester computes besides MD5 and the CRCs.
struct DigestChoice {
  bool sha256 = false;
  bool sha1 = false;
};

/// Computes digests of bytes as they come. Not thread-safe.
class Digester {
 public:
  explicit Digester(DigestChoice choice) : choice_(choice) {}
  void update(std::string_view bytes);
  /// Returns the digests of all bytes so far. To be called once.
  Digests finish();

 private:
  void feed(std::string_view bytes);
  void feed_zeros(ByteCount count);

  DigestChoice choice_;
  ByteCount zeros_ = 0;  ///< that came and were not hashed yet: nothing else came, or nothing since
  bool only_zeros_ = true;
  Digests digests_;
  Md5 md5_;
  Sha256 sha256_;
  Sha1 sha1_;
};

/// Returns the digests of all bytes of `content`.
Digests digest(const Content& content, DigestChoice choice);

/// Names of checksum algorithms, as in x-amz-checksum-NAME, in lower case.
const std::vector<std::string>& checksum_names();

/// Returns the bytes of a checksum, the most significant first; empty where it was not computed, or has no such name.
std::string checksum_bytes(const Digests& digests, std::string_view name);

/// Returns the checksum of several bodies, one after the other, from theirs: of a CRC, by its name. Empty for others.
std::string joined_checksum(const std::vector<Digests>& bodies, std::string_view name);

/// Returns the checksum of some bytes by its name.
std::string checksum_of_bytes(std::string_view bytes, std::string_view name);

}  // namespace bale::testing::s3
