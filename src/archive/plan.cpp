#include "archive/plan.hpp"

#include <algorithm>

#include "archive/tar.hpp"

namespace bale::archive {
namespace {

class Planner {
 public:
  explicit Planner(ByteCount frame_size) : frame_size_(frame_size) {}

  void add(std::size_t member, const PlanItem& item) {
    const ByteCount padded = tar_padded(item.size);
    const bool fits = padded <= frame_size_ - item.header;
    if (!fits || item.header + padded > room()) start_chunk();
    ByteCount offset = 0, header = item.header;
    for (std::size_t number = 0;; ++number) {
      const ByteCount size = std::min(item.size - offset, room() - header);
      const bool last = offset + size == item.size;
      append({member, offset, size, header, last ? padded - item.size : 0, number, last});
      if (last) return;
      offset += size;
      header = 0;
      start_chunk();
    }
  }

  std::vector<Chunk> take() { return std::move(chunks_); }

 private:
  ByteCount room() const { return chunks_.empty() ? 0 : frame_size_ - chunks_.back().bytes; }
  void start_chunk() {
    if (chunks_.empty() || chunks_.back().bytes > 0) chunks_.emplace_back();
  }
  void append(const Piece& piece) {
    chunks_.back().pieces.push_back(piece);
    chunks_.back().bytes += piece.bytes();
  }

  const ByteCount frame_size_;
  std::vector<Chunk> chunks_;
};

}  // namespace

std::vector<Chunk> plan_chunks(const std::vector<PlanItem>& items, ByteCount frame_size) {
  Planner planner(frame_size);
  for (std::size_t i = 0; i < items.size(); ++i) planner.add(i, items[i]);
  return planner.take();
}

}  // namespace bale::archive
