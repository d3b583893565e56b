#include "transfer/etag_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.hpp"

namespace bale::transfer {
namespace {

constexpr std::size_t md5_digits = 32;

bool starts_with_md5(std::string_view etag) {
  return etag.size() >= md5_digits && etag.substr(0, md5_digits).find_first_not_of("0123456789abcdef") == etag.npos;
}

/// N of "digest-N".
std::optional<std::uint64_t> count_of_parts(std::string_view etag) {
  if (etag.size() <= md5_digits + 1 || etag[md5_digits] != '-') return std::nullopt;
  std::uint64_t count = 0;
  const char* const end = etag.data() + etag.size();
  const auto [stop, error] = std::from_chars(etag.data() + md5_digits + 1, end, count);
  if (error != std::errc() || stop != end || count == 0 || count > store::max_parts) return std::nullopt;
  return count;
}

}  // namespace

EtagCheck::EtagCheck(const store::ObjectInfo& info) : etag_(info.etag) {
  const std::string& etag = etag_.str();
  if (!info.kms_key_arn.empty() || !starts_with_md5(etag)) return;
  std::uint64_t count = 1;
  if (etag.size() == md5_digits) {
    part_bytes_ = info.size;
  } else {
    const auto parts = count_of_parts(etag);
    const bool known = info.part_bytes > 0 && parts && (info.size + info.part_bytes - 1) / info.part_bytes == *parts;
    if (!known) return;
    in_parts_ = true;
    count = *parts;
    part_bytes_ = info.part_bytes;
  }
  parts_.resize(count);
  possible_ = true;
}

void EtagCheck::update(ByteView bytes) {
  while (possible_ && !bytes.empty()) {
    const ByteCount room = part_bytes_ - in_part_;
    // More bytes than the object has do not open another part: the digest of the last one is wrong then, as it must be.
    const bool last = next_ + 1 == parts_.size();
    const std::size_t taken = last ? bytes.size() : static_cast<std::size_t>(std::min<ByteCount>(room, bytes.size()));
    part_.update(bytes.first(taken));
    in_part_ += taken;
    bytes = bytes.subspan(taken);
    if (!last && in_part_ == part_bytes_) end_part();
  }
}

void EtagCheck::end_part() {
  parts_[next_++] = part_.finish();
  in_part_ = 0;
}

void EtagCheck::set_part(std::size_t index, ByteView bytes) {
  if (possible_) parts_.at(index) = Md5::of(bytes);
}

void EtagCheck::finish(const ObjectAddress& where) {
  if (!possible_) return;
  if (in_part_ > 0 || (next_ == 0 && part_bytes_ == 0)) end_part();
  std::string computed = to_hex_digest(parts_.front());
  if (in_parts_) {
    Md5 all;
    for (const Md5Digest& part : parts_) all.update({part.data(), part.size()});
    computed = fmt::format("{}-{}", to_hex_digest(all.finish()), parts_.size());
  }
  if (computed == etag_.str()) return;
  throw Error(ErrorKind::corrupt,
              fmt::format("the bytes are damaged: their ETag is {}, the object's {}", computed, etag_.str()),
              to_uri(where), "they were damaged in the store or on the way; try again, or get another copy or version");
}

}  // namespace bale::transfer
