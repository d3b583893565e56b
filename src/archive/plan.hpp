// Which bytes of which member go into which frame. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

/// A member as the planner sees it.
struct PlanItem {
  ByteCount header = 0;  ///< bytes of its tar header
  ByteCount size = 0;    ///< bytes of its data
};

/// A run of bytes of one member within a chunk: [header] data [padding].
struct Piece {
  std::size_t member = 0;  ///< index of the plan item
  ByteCount offset = 0;    ///< of its first byte in the member's data
  ByteCount size = 0;      ///< data bytes
  ByteCount header = 0;    ///< bytes of tar header before the data; 0 unless the member starts here
  ByteCount padding = 0;   ///< zeros behind the data; only where the member ends here
  std::size_t number = 0;  ///< 0, 1, 2, ... within the member
  bool last = false;       ///< the member ends here
  bool whole() const noexcept { return number == 0 && last; }
  ByteCount bytes() const noexcept { return header + size + padding; }
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// What becomes one frame.
struct Chunk {
  std::vector<Piece> pieces;
  ByteCount bytes = 0;  ///< sum of the pieces
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// Cuts members, in their order, into chunks of at most `frame_size` bytes (a multiple of 512, larger than every
/// header). A member that fits into a frame is never split: it starts a new one where the rest of the present one is
/// too small. A larger member starts a new frame and is cut every frame_size bytes; those behind it share its last
/// frame. Chunks are made when they are asked for: a member of 1 TiB may have millions of them. Not thread-safe.
class ChunkPlan {
 public:
  ChunkPlan(std::vector<PlanItem> items, ByteCount frame_size) : items_(std::move(items)), frame_size_(frame_size) {}
  /// The next chunk; absent behind the last one.
  std::optional<Chunk> next();
  /// How many chunks there are in all.
  std::uint64_t count() const noexcept;

 private:
  /// Whether an item goes into a chunk that has so many bytes.
  bool has_room(const PlanItem& item, ByteCount bytes) const noexcept;
  const std::vector<PlanItem> items_;
  const ByteCount frame_size_;
  // Of the next piece.
  std::size_t member_ = 0, number_ = 0;
  ByteCount offset_ = 0;
};

}  // namespace bale::archive
