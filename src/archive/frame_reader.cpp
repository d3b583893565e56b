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

FrameIndex index_in(transfer::RandomSource& source, const ReaderLimits& limits) {
  const Buffer tail = source.read_tail(tail_bytes);
  SeekFooter footer;
  const bool is_seekable = find_seek_footer(tail.view(), limits.max_frames, footer);
  if (!is_seekable || !footer.checksums)
    throw Error(ErrorKind::unsupported, "the archive has no seek table with checksums");
  const ByteCount file_bytes = source.size(), length = footer.table_bytes();
  if (length > file_bytes)
    throw Error(ErrorKind::corrupt, fmt::format("the seek table claims {} bytes; the file has {}", length, file_bytes));
  if (length <= tail.size()) {
    return FrameIndex(decode_seek_table(tail.view().last(length), footer), file_bytes - length, limits.max_frame_bytes);
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
