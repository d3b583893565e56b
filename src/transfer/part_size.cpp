#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "transfer/byte_io.hpp"

namespace bale::transfer {

ByteCount choose_part_size(ByteCount total, ByteCount least) {
  constexpr ByteCount mebibyte = 1ULL << 20;
  constexpr ByteCount most = ByteCount{store::max_parts} * store::max_part_bytes;
  if (total > most) {
    throw Error(ErrorKind::invalid,
                fmt::format("{} are more than one object can have: {} parts of {}", format_bytes(total),
                            store::max_parts, format_bytes(store::max_part_bytes)));
  }
  const ByteCount needed = (total + store::max_parts - 1) / store::max_parts;
  const ByteCount part = std::max({needed, least, store::min_part_bytes});
  return std::min((part + mebibyte - 1) / mebibyte * mebibyte, store::max_part_bytes);
}

}  // namespace bale::transfer
