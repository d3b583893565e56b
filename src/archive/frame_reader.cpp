#include "archive/frame_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive/compress.hpp"
#include "archive/little_endian.hpp"
#include "archive/seek_table.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

// The table of five thousand frames: of an archive of 80 GiB in frames of the default size.
constexpr ByteCount tail_bytes = 64 << 10;
// What FramePieces holds of a frame at a time, and gives at a time.
constexpr ByteCount compressed_piece_bytes = 1 << 20, content_piece_bytes = 256 << 10;

FrameIndex index_in(transfer::RandomSource& source, const ReaderLimits& limits) {
  const Buffer file_end = source.read_tail(tail_bytes);
  const ByteCount behind = bytes_behind_seek_table(file_end.view()).value_or(0);
  const ByteView tail = file_end.view().first(file_end.size() - behind);
  SeekFooter footer;
  const bool is_seekable = find_seek_footer(tail, limits.max_frames, footer);
  if (!is_seekable || !footer.checksums)
    throw Error(ErrorKind::unsupported, "the archive has no seek table with checksums");
  const ByteCount file_bytes = source.size() - behind, length = footer.table_bytes();
  if (length > file_bytes)
    throw Error(ErrorKind::corrupt, fmt::format("the seek table claims {} bytes; the file has {}", length, file_bytes));
  // The table itself, what it says, and the index that is made of it, for a moment all at once.
  if (footer.frames > limits.memory / frame_memory) {
    throw Error(ErrorKind::unsupported, fmt::format("the list of its {} frames takes more than {} of memory",
                                                    footer.frames, format_bytes(limits.memory)));
  }
  if (length <= tail.size()) {
    return FrameIndex(decode_seek_table(tail.last(length), footer), file_bytes - length, limits.max_frame_bytes);
  }
  Buffer table(length);
  table.resize(length);
  source.read_at(file_bytes - length, {table.data(), table.size()});
  return FrameIndex(decode_seek_table(table.view(), footer), file_bytes - length, limits.max_frame_bytes);
}

}  // namespace

FrameIndex read_frame_index(transfer::RandomSource& source, const ReaderLimits& limits) {
  try {
    return index_in(source, limits);
  } catch (const Error& error) {
    throw error.where().empty() ? error.with_where(source.name()) : error;
  }
}

void read_frame(ByteView compressed, const Frame& frame, MutableBytes out) {
  // Before anything else: bytes that were changed may still decompress to what they should.
  if (frame.hash && xxh64(compressed) != *frame.hash)
    throw Error(ErrorKind::corrupt, "the frame's bytes are not those that were written: their XXH64 is another");
  // The decoder verifies the frame's checksum against its content; so equal checksums mean equal content.
  if (compressed.size() < 4 || load_le<std::uint32_t>(compressed, compressed.size() - 4) != frame.checksum)
    throw Error(ErrorKind::corrupt, "the frame's checksum is not that of the seek table");
  decompress_frame(compressed, out);
}

FramePieces::FramePieces(const Frame& frame, ReadAt read_at, int window_log)
    : frame_(frame),
      window_log_(window_log),
      read_at_(std::move(read_at)),
      content_(std::min<ByteCount>(frame.decompressed, content_piece_bytes)),
      decompressor_(window_log) {}

ByteView FramePieces::next() {
  while (!ended_) {
    if (rest_.empty() && !more_) read_more();
    const auto step = decompress();
    rest_ = rest_.subspan(step.consumed);
    more_ = step.produced == content_.capacity() && !step.frame_ended;
    if (step.produced > frame_.decompressed - given_)
      throw Error(ErrorKind::corrupt, "the frame holds more than the seek table says");
    given_ += step.produced;
    if (step.frame_ended) finish();
    ended_ = step.frame_ended;
    if (step.produced > 0) return {content_.data(), step.produced};
  }
  return {};
}

StreamDecompressor::Step FramePieces::decompress() {
  try {
    return decompressor_.step(rest_, {content_.data(), content_.capacity()});
  } catch (const Error& error) {
    // No frame is written with a window that is larger than its content.
    if (error.kind() != ErrorKind::unsupported || frame_.decompressed > ByteCount{1} << window_log_) throw;
    throw Error(ErrorKind::corrupt, "the frame names a window that is larger than its content");
  }
}

void FramePieces::read_more() {
  const ByteCount length = std::min<ByteCount>(compressed_piece_bytes, frame_.compressed - taken_);
  if (length == 0) throw Error(ErrorKind::corrupt, "the frame is longer than the seek table says");
  compressed_ = read_at_(frame_.file_offset + taken_, length);
  taken_ += length;
  rest_ = compressed_.view();
  if (frame_.hash) hash_.update(rest_);
  for (const std::byte byte : rest_.last(std::min<std::size_t>(rest_.size(), sizeof last_bytes_)))
    last_bytes_ = (last_bytes_ >> 8) | (std::to_integer<std::uint32_t>(byte) << 24);
}

/// The decoder has verified the frame's checksum against its content; so equal checksums mean equal content.
void FramePieces::finish() const {
  if (!rest_.empty() || taken_ != frame_.compressed)
    throw Error(ErrorKind::corrupt, "the frame is shorter than the seek table says");
  if (frame_.hash && hash_.value() != *frame_.hash)
    throw Error(ErrorKind::corrupt, "the frame's bytes are not those that were written: their XXH64 is another");
  if (last_bytes_ != frame_.checksum)
    throw Error(ErrorKind::corrupt, "the frame's checksum is not that of the seek table");
  if (given_ != frame_.decompressed) {
    throw Error(ErrorKind::corrupt, fmt::format("the frame holds {} bytes instead of {}", given_, frame_.decompressed));
  }
}

std::vector<RunFrame> decompress_run(ByteView run, const std::function<void(ByteCount)>& may_hold,
                                     const ReaderLimits& limits) {
  struct Place {
    ByteCount at;
    FrameExtent extent;
  };
  std::vector<Place> places;
  ByteCount claimed = 0;
  for (ByteCount at = 0; at < run.size();) {
    const FrameExtent extent = measure_frame(run.subspan(at));
    if (extent.content > limits.max_frame_bytes) {
      throw Error(ErrorKind::corrupt, fmt::format("a frame claims {}; at most {} are read",
                                                  format_bytes(extent.content), format_bytes(limits.max_frame_bytes)));
    }
    claimed += extent.content;
    places.push_back({at, extent});
    at += extent.compressed;
  }
  may_hold(claimed);
  std::vector<RunFrame> frames;
  for (const Place& place : places) {
    if (place.extent.content == 0) {
      if (!frames.empty()) frames.back().compressed += place.extent.compressed;
      continue;
    }
    Buffer content(place.extent.content);
    content.resize(place.extent.content);
    decompress_frame(run.subspan(place.at, place.extent.compressed), {content.data(), content.size()});
    frames.push_back({place.at, place.extent.compressed, std::move(content)});
  }
  return frames;
}

}  // namespace bale::archive
