// Digests. The only code that sees OpenSSL's digests and xxHash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"

namespace bale {

template <std::size_t Size>
using Digest = std::array<std::byte, Size>;
using Sha256Digest = Digest<32>;
using Md5Digest = Digest<16>;

/// One running digest. Not thread-safe. Move-only.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(ByteView bytes);
  /// The digest of all bytes so far; the object is then as if new.
  Sha256Digest finish();
  static Sha256Digest of(ByteView bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// HMAC-SHA-256 (RFC 2104) of `message` under `key`, of any length: request signatures are made of it.
Sha256Digest hmac_sha256(ByteView key, ByteView message);

/// MD5, because S3's ETag is made of it (user guide, "Checking object integrity"); never for security.
class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(Md5&&) noexcept;
  Md5& operator=(Md5&&) noexcept;
  void update(ByteView bytes);
  Md5Digest finish();
  static Md5Digest of(ByteView bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-1, because S3 keeps it of an object that was uploaded with it; never for security.
class Sha1 {
 public:
  Sha1();
  ~Sha1();
  Sha1(Sha1&&) noexcept;
  Sha1& operator=(Sha1&&) noexcept;
  void update(ByteView bytes);
  Digest<20> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// XXH64 with seed 0. A zstd frame's checksum, and a seek table's, are its low 32 bits.
std::uint64_t xxh64(ByteView bytes) noexcept;

/// Lower-case hex of a digest.
template <std::size_t Size>
std::string to_hex_digest(const Digest<Size>& digest);
extern template std::string to_hex_digest(const Digest<16>&);
extern template std::string to_hex_digest(const Digest<32>&);

}  // namespace bale
