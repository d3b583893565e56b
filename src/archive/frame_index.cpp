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
  frames_.reserve(entries.size());
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

MemberLocation FrameIndex::locate(ByteCount tar_offset, ByteCount size) const noexcept {
  const auto [first, last] = frames_of(tar_offset, size);
  const Frame& start = frames_[first];
  const Frame& end = frames_[last];
  return {start.file_offset, end.file_offset + end.compressed - start.file_offset, tar_offset - start.tar_offset};
}

FrameReads::FrameReads(const FrameIndex& index, const ObjectList& objects, const std::vector<std::size_t>& wanted)
    : index_(index), objects_(objects), order_(wanted) {
  const auto place = [&](std::size_t object) { return std::pair(*objects.data_offset_of(object), object); };
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  order_.erase(std::unique(order_.begin(), order_.end()), order_.end());
}

std::optional<FrameRead> FrameReads::next() {
  std::optional<FrameRead> read;
  while (at_ < order_.size()) {
    const std::size_t object = order_[at_];
    const ByteCount begin = *objects_.data_offset_of(object), end = begin + objects_.bytes_of(object);
    const auto [first, last] = index_.frames_of(begin, end - begin);
    const std::size_t number = goes_on_.value_or(first);
    if (!read) read = FrameRead{number, {}};
    if (read->frame != number) break;
    const Frame& frame = index_.frames()[number];
    const ByteCount from = std::max(begin, frame.tar_offset), to = std::min(end, frame.tar_end());
    read->pieces.push_back({object, from - begin, from - frame.tar_offset, to - from});
    if (number < last) {
      goes_on_ = number + 1;
      break;
    }
    goes_on_.reset();
    ++at_;
  }
  return read;
}

void check_places(const ObjectList& objects, ByteCount end) {
  const auto wrong = [&](std::size_t object, std::string_view what) {
    return Error(ErrorKind::corrupt,
                 fmt::format("objects[{}] ({}) {}", object, escape_name(objects[object].relative_key), what),
                 "manifest.json");
  };
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto begin = objects.data_offset_of(i);
    if (!begin) throw wrong(i, "has no data_offset");
    if (*begin < layout::tar_block) throw wrong(i, "lies before the first header");
    if (*begin > end || objects.bytes_of(i) > end - *begin) throw wrong(i, "lies outside the archive");
  }
  std::vector<std::size_t> order(objects.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return *objects.data_offset_of(a) < *objects.data_offset_of(b); });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const ByteCount end_before = *objects.data_offset_of(order[i - 1]) + objects.bytes_of(order[i - 1]);
    // Each member has a header of its own in front of it.
    if (*objects.data_offset_of(order[i]) < end_before + layout::tar_block)
      throw wrong(order[i], "overlaps another object");
  }
}

}  // namespace bale::archive
