#include "archive/frame_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "archive/layout.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {

FrameIndex::FrameIndex(const std::vector<SeekEntry>& entries, ByteCount data_bytes, ByteCount max_frame_bytes,
                       const std::vector<std::uint64_t>& hashes) {
  // Sums of at most 2^27 numbers of 32 bits: no overflow.
  ByteCount file_offset = 0, tar_offset = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SeekEntry& entry = entries[i];
    if (entry.compressed > data_bytes - file_offset)
      throw Error(ErrorKind::corrupt, fmt::format("the seek table places frame {} outside the file", i));
    if (entry.decompressed > max_frame_bytes) {
      throw Error(ErrorKind::corrupt, fmt::format("frame {} claims {}; at most {} are read", i,
                                                  format_bytes(entry.decompressed), format_bytes(max_frame_bytes)));
    }
    const bool hashed = i < hashes.size();
    // Nobody reads a frame without content, so that its bytes would go unchecked.
    if (hashed && entry.decompressed == 0)
      throw Error(ErrorKind::corrupt, fmt::format("the seek table lists frame {} as one without content", i));
    if (entry.decompressed > 0) {
      frames_.push_back({file_offset, tar_offset, entry.compressed, entry.decompressed, entry.checksum,
                         hashed ? std::optional(hashes[i]) : std::nullopt});
    }
    file_offset += entry.compressed;
    tar_offset += entry.decompressed;
  }
  if (file_offset != data_bytes) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the seek table describes {} bytes of frames; the file has {}", file_offset, data_bytes));
  }
}

std::size_t FrameIndex::frame_of(ByteCount tar_offset) const noexcept {
  const auto behind = std::upper_bound(frames_.begin(), frames_.end(), tar_offset,
                                       [](ByteCount offset, const Frame& frame) { return offset < frame.tar_offset; });
  return static_cast<std::size_t>(behind - frames_.begin()) - 1;
}

std::pair<std::size_t, std::size_t> FrameIndex::frames_of(ByteCount tar_offset, ByteCount size) const noexcept {
  if (size > 0) return {frame_of(tar_offset), frame_of(tar_offset + size - 1)};
  const std::size_t frame = frame_of(tar_offset - 1);
  return {frame, frame};
}

MemberLocation FrameIndex::locate(const ManifestObject& object) const noexcept {
  const auto [first, last] = frames_of(*object.data_offset, object.size);
  const Frame& start = frames_[first];
  const Frame& end = frames_[last];
  return {start.file_offset, end.file_offset + end.compressed - start.file_offset,
          *object.data_offset - start.tar_offset};
}

std::vector<FrameRead> FrameIndex::plan_reads(const std::vector<ManifestObject>& objects,
                                              const std::vector<std::size_t>& wanted) const {
  std::vector<std::size_t> order(wanted);
  const auto place = [&](std::size_t object) { return std::pair(*objects[object].data_offset, object); };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<FrameRead> reads;
  for (const std::size_t object : order) {
    const ByteCount begin = *objects[object].data_offset, end = begin + objects[object].size;
    const auto [first, last] = frames_of(begin, objects[object].size);
    for (std::size_t i = first; i <= last; ++i) {
      const ByteCount from = std::max(begin, frames_[i].tar_offset), to = std::min(end, frames_[i].tar_end());
      if (reads.empty() || reads.back().frame != i) reads.push_back({i, {}});
      reads.back().pieces.push_back({object, from - begin, from - frames_[i].tar_offset, to - from});
    }
  }
  return reads;
}

void check_places(const std::vector<ManifestObject>& objects, ByteCount end) {
  const auto wrong = [&](std::size_t object, std::string_view what) {
    return Error(ErrorKind::corrupt,
                 fmt::format("objects[{}] ({}) {}", object, escape_name(objects[object].relative_key), what),
                 "manifest.json");
  };
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!objects[i].data_offset) throw wrong(i, "has no data_offset");
    if (*objects[i].data_offset < layout::tar_block) throw wrong(i, "lies before the first header");
    if (*objects[i].data_offset > end || objects[i].size > end - *objects[i].data_offset)
      throw wrong(i, "lies outside the archive");
  }
  std::vector<std::size_t> order(objects.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return *objects[a].data_offset < *objects[b].data_offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const ManifestObject& before = objects[order[i - 1]];
    // Each member has a header of its own in front of it.
    if (*objects[order[i]].data_offset < *before.data_offset + before.size + layout::tar_block)
      throw wrong(order[i], "overlaps another object");
  }
}

}  // namespace bale::archive
