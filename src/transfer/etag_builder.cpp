#include "transfer/etag_builder.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace bale::transfer {

std::uint32_t count_parts(ByteCount size, ByteCount part_bytes) noexcept {
  return size < part_bytes ? 0 : static_cast<std::uint32_t>((size + part_bytes - 1) / part_bytes);
}

void EtagBuilder::update(ByteView bytes) {
  while (!bytes.empty()) {
    const std::size_t piece = std::min<ByteCount>(bytes.size(), part_bytes_ - in_part_);
    part_.update(bytes.first(piece));
    in_part_ += piece;
    bytes = bytes.subspan(piece);
    if (in_part_ == part_bytes_) end_part();
  }
}

void EtagBuilder::end_part() {
  parts_digest_.update(part_.finish());
  ++parts_;
  in_part_ = 0;
}

ETag EtagBuilder::finish() {
  if (parts_ == 0) return ETag(to_hex_digest(part_.finish()));
  if (in_part_ > 0) end_part();
  return ETag(fmt::format("{}-{}", to_hex_digest(parts_digest_.finish()), parts_));
}

}  // namespace bale::transfer
