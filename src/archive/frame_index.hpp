// Where the frames and the objects of an archive are: the arithmetic of random access. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive/layout.hpp"
#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "archive/seek_table.hpp"

namespace bale::archive {

/// A frame with content.
struct Frame {
  ByteCount file_offset = 0;
  ByteCount tar_offset = 0;
  std::uint32_t compressed = 0;
  std::uint32_t decompressed = 0;
  std::uint32_t checksum = 0;
  std::optional<std::uint64_t> hash = std::nullopt;  ///< XXH64 of the compressed bytes, where it is known
  ByteCount tar_end() const noexcept { return tar_offset + decompressed; }
};

/// Bytes of one object within one frame.
struct FramePiece {
  std::size_t object = 0;  ///< index into the manifest
  ByteCount offset = 0;    ///< in the object
  ByteCount at = 0;        ///< in the decompressed frame
  ByteCount size = 0;
};

/// A frame to be read, and what is wanted of it, in the order of the tar stream.
struct FrameRead {
  std::size_t frame = 0;
  std::vector<FramePiece> pieces;
};

/// Memory that the list of frames takes for each of them while an archive is opened: its entry in the file, the same
/// read, its hash, and its Frame.
inline constexpr ByteCount frame_memory = layout::seek_entry_bytes + sizeof(SeekEntry) + 8 + sizeof(Frame) + 16;

class FrameIndex {
 public:
  FrameIndex() = default;
  /// The frames of a seek table; `hashes` of the compressed bytes of the first entries, where they are known. Throws
  /// Error{corrupt} when the frames do not fill the `data_bytes` bytes in front of the table, one is larger than
  /// `max_frame_bytes` when decompressed, or one that has a hash has no content.
  FrameIndex(const std::vector<SeekEntry>& entries, ByteCount data_bytes, ByteCount max_frame_bytes,
             const std::vector<std::uint64_t>& hashes = {});

  const std::vector<Frame>& frames() const noexcept { return frames_; }
  ByteCount tar_bytes() const noexcept { return frames_.empty() ? 0 : frames_.back().tar_end(); }
  /// Index of the frame that holds byte `tar_offset`, which must be less than tar_bytes().
  std::size_t frame_of(ByteCount tar_offset) const noexcept;
  /// The frames that hold `size` bytes from `tar_offset` on: first and last. An empty object is in the frame of its
  /// header.
  std::pair<std::size_t, std::size_t> frames_of(ByteCount tar_offset, ByteCount size) const noexcept;
  /// Where `size` bytes from `tar_offset` on are, of an object whose data begin there.
  MemberLocation locate(ByteCount tar_offset, ByteCount size) const noexcept;

 private:
  std::vector<Frame> frames_;
};

/// The frames that hold some objects, ascending. Frames are found as they are asked for: an object of 1 TiB may be in
/// millions of them. Not thread-safe.
class FrameReads {
 public:
  /// `wanted`: indices of `objects`, in any order. `index` and `objects` are borrowed.
  FrameReads(const FrameIndex& index, const ObjectList& objects, const std::vector<std::size_t>& wanted);
  /// Absent at the end.
  std::optional<FrameRead> next();

 private:
  const FrameIndex& index_;
  const ObjectList& objects_;
  std::vector<std::size_t> order_;      ///< by place
  std::size_t at_ = 0;                  ///< the next of them, or the one that goes on
  std::optional<std::size_t> goes_on_;  ///< the frame in which it does
};

/// Throws Error{corrupt} naming the object that has no place, overlaps another one, or does not lie before `end`, the
/// header of manifest.json.
void check_places(const ObjectList& objects, ByteCount end);

}  // namespace bale::archive
