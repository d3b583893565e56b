#include "support/scripted_s3/content.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "base/crc.hpp"
#include "base/mutex.hpp"

namespace bale::testing::s3 {
namespace {

constexpr std::size_t zeros_at_once = 64 << 10;

const std::string& zero_bytes() {
  static const std::string zeros(zeros_at_once, '\0');
  return zeros;
}

bool is_zero(std::string_view bytes) {
  return bytes.empty() || (bytes.front() == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

struct Crc {
  std::string_view name;
  CrcPolynomial polynomial;
  std::uint64_t Digests::*value;
};
constexpr Crc crcs[] = {{"crc64nvme", crc64nvme, &Digests::crc64nvme},
                        {"crc32c", crc32c, &Digests::crc32c},
                        {"crc32", crc32_ieee, &Digests::crc32}};

}  // namespace

void Content::append(std::string bytes) {
  if (bytes.empty()) return;
  if (is_zero(bytes)) {
    append_zeros(bytes.size());
    return;
  }
  const ByteCount size = bytes.size();
  pieces_.push_back({std::make_shared<const std::string>(std::move(bytes)), 0, size});
  size_ += size;
}

void Content::append_zeros(ByteCount count) {
  if (count == 0) return;
  if (!pieces_.empty() && !pieces_.back().bytes)
    pieces_.back().size += count;
  else
    pieces_.push_back({nullptr, 0, count});
  size_ += count;
}

void Content::append(const Content& other, ByteCount offset, ByteCount length) {
  for (const Piece& piece : other.pieces_) {
    if (length == 0) break;
    if (offset >= piece.size) {
      offset -= piece.size;
      continue;
    }
    const ByteCount taken = std::min(piece.size - offset, length);
    if (piece.bytes) {
      pieces_.push_back({piece.bytes, piece.offset + offset, taken});
      size_ += taken;
    } else {
      append_zeros(taken);
    }
    length -= taken;
    offset = 0;
  }
}

bool Content::read(ByteCount offset, ByteCount length, const std::function<bool(std::string_view)>& take) const {
  for (const Piece& piece : pieces_) {
    if (length == 0) break;
    if (offset >= piece.size) {
      offset -= piece.size;
      continue;
    }
    for (ByteCount left = std::min(piece.size - offset, length); left > 0;) {
      const std::string_view all =
          piece.bytes ? std::string_view(*piece.bytes).substr(piece.offset + offset) : std::string_view(zero_bytes());
      const std::string_view bytes = all.substr(0, std::min<ByteCount>(left, zeros_at_once));
      if (!take(bytes)) return false;
      left -= bytes.size();
      length -= bytes.size();
      offset += bytes.size();
    }
    offset = 0;
  }
  return true;
}

std::string Content::text() const {
  std::string all;
  read(0, size_, [&](std::string_view bytes) {
    all += bytes;
    return true;
  });
  return all;
}

void Content::flip(ByteCount offset, unsigned bit) {
  std::string byte;
  read(offset, 1, [&](std::string_view bytes) {
    byte = bytes;
    return true;
  });
  byte[0] = static_cast<char>(byte[0] ^ (1 << bit));
  Content changed;
  changed.append(*this, 0, offset);
  changed.append(std::move(byte));
  changed.append(*this, offset + 1, size_ - offset - 1);
  *this = std::move(changed);
}

void Digester::feed(std::string_view bytes) {
  const ByteView view = as_bytes(bytes);
  md5_.update(view);
  if (choice_.sha256) sha256_.update(view);
  if (choice_.sha1) sha1_.update(view);
  for (const Crc& crc : crcs) digests_.*crc.value = crc_of(crc.polynomial, view, digests_.*crc.value);
}

void Digester::feed_zeros(ByteCount count) {
  while (count > 0) {
    const std::string_view bytes = std::string_view(zero_bytes()).substr(0, std::min<ByteCount>(count, zeros_at_once));
    feed(bytes);
    count -= bytes.size();
  }
}

void Digester::update(std::string_view bytes) {
  digests_.size += bytes.size();
  if (is_zero(bytes)) {
    zeros_ += bytes.size();
    return;
  }
  feed_zeros(std::exchange(zeros_, 0));
  feed(bytes);
  only_zeros_ = false;
}

Digests Digester::finish() {
  static Mutex mutex;
  static std::map<std::tuple<ByteCount, bool, bool>, Digests> of_zeros;  // guarded by mutex
  const std::tuple key(digests_.size, choice_.sha256, choice_.sha1);
  if (only_zeros_) {
    const Lock lock(mutex);
    if (const auto known = of_zeros.find(key); known != of_zeros.end()) return known->second;
  }
  feed_zeros(std::exchange(zeros_, 0));
  digests_.md5 = md5_.finish();
  if (choice_.sha256) digests_.sha256 = sha256_.finish();
  if (choice_.sha1) digests_.sha1 = sha1_.finish();
  if (only_zeros_) {
    const Lock lock(mutex);
    of_zeros.emplace(key, digests_);
  }
  return digests_;
}

Digests digest(const Content& content, DigestChoice choice) {
  Digester digester(choice);
  content.read(0, content.size(), [&](std::string_view bytes) {
    digester.update(bytes);
    return true;
  });
  return digester.finish();
}

const std::vector<std::string>& checksum_names() {
  static const std::vector<std::string> names = {"crc64nvme", "crc32c", "crc32", "sha256", "sha1"};
  return names;
}

std::string checksum_bytes(const Digests& digests, std::string_view name) {
  for (const Crc& crc : crcs) {
    if (crc.name == name) return big_endian(digests.*crc.value, static_cast<int>(crc.polynomial.width / 8));
  }
  if (name == "sha256" && digests.sha256) return std::string(as_text(*digests.sha256));
  if (name == "sha1" && digests.sha1) return std::string(as_text(*digests.sha1));
  return {};
}

std::string joined_checksum(const std::vector<Digests>& bodies, std::string_view name) {
  for (const Crc& crc : crcs) {
    if (crc.name != name) continue;
    std::uint64_t joined = 0;
    for (const Digests& body : bodies) joined = join_crcs(crc.polynomial, joined, body.*crc.value, body.size);
    return big_endian(joined, static_cast<int>(crc.polynomial.width / 8));
  }
  return {};
}

std::string checksum_of_bytes(std::string_view bytes, std::string_view name) {
  Digester digester({true, true});
  digester.update(bytes);
  return checksum_bytes(digester.finish(), name);
}

}  // namespace bale::testing::s3
