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
  std::string text = read_unchecked(stream, most);
  expect_end(stream);
  return text;
}

}  // namespace bale::store
