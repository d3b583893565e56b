#include "store/checksum.hpp"

#include "base/error.hpp"

namespace bale::store {
namespace {

using Algorithm = Checksum::Algorithm;

/// Null for algorithms that are no CRCs.
const CrcPolynomial* polynomial_of(Algorithm algorithm) noexcept {
  switch (algorithm) {
    case Algorithm::crc64nvme: return &crc64nvme;
    case Algorithm::crc32c: return &crc32c;
    case Algorithm::crc32: return &crc32_ieee;
    case Algorithm::sha256:
    case Algorithm::sha1: return nullptr;
  }
  return nullptr;
}

std::string bytes_of(const CrcPolynomial& crc, std::uint64_t value) {
  std::string bytes(crc.width / 8, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * (bytes.size() - 1 - i)));
  return bytes;
}

std::uint64_t number_of(const Checksum& checksum) {
  std::uint64_t number = 0;
  for (const char c : checksum.value) number = (number << 8) | static_cast<unsigned char>(c);
  return number;
}

template <std::size_t Size>
std::string bytes_of(const Digest<Size>& digest) {
  return std::string(as_text({digest.data(), digest.size()}));
}

}  // namespace

std::string_view to_string(Algorithm algorithm) noexcept {
  switch (algorithm) {
    case Algorithm::crc64nvme: return "crc64nvme";
    case Algorithm::crc32c: return "crc32c";
    case Algorithm::crc32: return "crc32";
    case Algorithm::sha256: return "sha256";
    case Algorithm::sha1: return "sha1";
  }
  return "";
}

bool is_joinable(Algorithm algorithm) noexcept { return polynomial_of(algorithm) != nullptr; }

Checksum join(const Checksum& first, const Checksum& second, ByteCount second_bytes) {
  const CrcPolynomial* const crc = polynomial_of(first.algorithm);
  if (crc == nullptr || first.algorithm != second.algorithm)
    throw Error(ErrorKind::internal, "checksums that cannot be joined");
  return {first.algorithm, bytes_of(*crc, join_crcs(*crc, number_of(first), number_of(second), second_bytes))};
}

RunningChecksum::RunningChecksum(Algorithm algorithm) : algorithm_(algorithm) {
  if (const CrcPolynomial* const crc = polynomial_of(algorithm))
    state_ = Crc{crc, 0};
  else if (algorithm == Algorithm::sha256)
    state_ = Sha256();
  else
    state_ = Sha1();
}

void RunningChecksum::update(ByteView bytes) {
  if (auto* const crc = std::get_if<Crc>(&state_))
    crc->value = crc_of(*crc->polynomial, bytes, crc->value);
  else if (auto* const sha256 = std::get_if<Sha256>(&state_))
    sha256->update(bytes);
  else
    std::get<Sha1>(state_).update(bytes);
}

Checksum RunningChecksum::finish() {
  if (const auto* const crc = std::get_if<Crc>(&state_)) return {algorithm_, bytes_of(*crc->polynomial, crc->value)};
  if (auto* const sha256 = std::get_if<Sha256>(&state_)) return {algorithm_, bytes_of(sha256->finish())};
  return {algorithm_, bytes_of(std::get<Sha1>(state_).finish())};
}

Checksum checksum_of(Algorithm algorithm, ByteView bytes) {
  RunningChecksum checksum(algorithm);
  checksum.update(bytes);
  return checksum.finish();
}

}  // namespace bale::store
