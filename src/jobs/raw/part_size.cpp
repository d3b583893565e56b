#include "jobs/raw/part_size.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

ByteCount part_size_of(ByteCount size, ByteCount configured) {
  constexpr ByteCount most = ByteCount{store::max_parts} * store::max_part_bytes;
  if (size > most) {
    throw Error(ErrorKind::invalid,
                fmt::format("the file ({}) exceeds the largest object: {} parts of {}", format_bytes(size),
                            store::max_parts, format_bytes(store::max_part_bytes)))
        .with_code("EntityTooLarge");
  }
  ByteCount part = std::max(configured, store::min_part_bytes);
  while ((size + part - 1) / part > store::max_parts) part *= 2;
  return std::min(part, store::max_part_bytes);
}

}  // namespace bale::raw
