#include "store/object_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "store/read_exactly.hpp"

namespace bale::store {

MemoryBody::MemoryBody(std::vector<ByteView> pieces) : pieces_(std::move(pieces)) {
  for (const ByteView piece : pieces_) size_ += piece.size();
}

ByteView MemoryBody::next(std::size_t most) {
  while (piece_ < pieces_.size() && offset_ == pieces_[piece_].size()) {
    ++piece_;
    offset_ = 0;
  }
  if (piece_ == pieces_.size()) return {};
  const ByteView rest = pieces_[piece_].subspan(offset_);
  const ByteView taken = rest.first(std::min(most, rest.size()));
  offset_ += taken.size();
  return taken;
}

void MemoryBody::rewind() {
  piece_ = 0;
  offset_ = 0;
}

std::string read_all(GetStream& stream, ByteCount most) {
  if (stream.length() > most) {
    throw Error(ErrorKind::invalid, fmt::format("the object has {}; at most {} are read", format_bytes(stream.length()),
                                                format_bytes(most)));
  }
  std::string text(stream.length(), '\0');
  read_to_end(stream, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace bale::store
