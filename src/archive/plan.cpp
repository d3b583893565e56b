#include "archive/plan.hpp"

#include <algorithm>

#include "archive/tar.hpp"

namespace bale::archive {

bool ChunkPlan::has_room(const PlanItem& item, ByteCount bytes) const noexcept {
  return bytes == 0 || item.header + tar_padded(item.size) <= frame_size_ - bytes;
}

std::optional<Chunk> ChunkPlan::next() {
  Chunk chunk;
  while (member_ < items_.size()) {
    const PlanItem& item = items_[member_];
    if (number_ == 0 && !has_room(item, chunk.bytes)) break;
    const ByteCount header = number_ == 0 ? item.header : 0;
    const ByteCount size = std::min(item.size - offset_, frame_size_ - chunk.bytes - header);
    const bool last = offset_ + size == item.size;
    const ByteCount padding = last ? tar_padded(item.size) - item.size : 0;
    chunk.pieces.push_back({member_, offset_, size, header, padding, number_, last});
    chunk.bytes += chunk.pieces.back().bytes();
    if (!last) {
      offset_ += size;
      ++number_;
      break;
    }
    ++member_;
    offset_ = number_ = 0;
  }
  if (chunk.pieces.empty()) return std::nullopt;
  return chunk;
}

std::uint64_t ChunkPlan::count() const noexcept {
  std::uint64_t chunks = 0;
  ByteCount bytes = 0;  // of the last of them
  for (const PlanItem& item : items_) {
    const ByteCount length = item.header + tar_padded(item.size);
    if (chunks == 0 || !has_room(item, bytes)) {
      ++chunks;
      bytes = 0;
    }
    // A member that fits adds to the chunk; a larger one fills it and those behind it, the last one in part.
    const std::uint64_t more = length > frame_size_ ? (length - 1) / frame_size_ : 0;
    chunks += more;
    bytes += length - more * frame_size_;
  }
  return chunks;
}

}  // namespace bale::archive
