// zstd. The only header of Bale behind which libzstd is used.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace bale::archive {

/// The most bytes that compressing `bytes` can give.
ByteCount compressed_bound(ByteCount bytes) noexcept;

/// What a few samples, spread over `content`, come to when they are compressed at the fastest level: bytes out per byte
/// in, greater than 0 and at most 1; 1 for no content. Takes about as long as reading 1 % of a frame. Thread-safe.
double probe_ratio(ByteView content);
/// Content whose probe_ratio() is this or more is not worth a slow level: 3 % would be saved at most.
inline constexpr double incompressible_ratio = 1 - 1.0 / 32;
/// Whether compressing `content` is worth its time, by its probe_ratio(); content of less than 64 KiB is too little to
/// lose. Depends on the content alone.
bool is_compressible(ByteView content);

/// One frame as it was compressed.
struct CompressedFrame {
  Buffer bytes;
  std::uint32_t checksum = 0;  ///< low 32 bits of XXH64 of the content: the frame's own last four bytes
};

/// The level that does no work: the content as it is, in a frame that any decoder reads.
inline constexpr int store_level = 0;

/// One frame with content size and checksum, at `level` (1..22, or store_level); content that is not compressible goes
/// in at level 1. `frame_size`, the most that any frame of the archive holds, sizes window and tables. Depends on its
/// arguments alone. Thread-safe: every thread keeps one compression context, of up to compressor_bytes(), for its next
/// frame.
CompressedFrame compress_frame(ByteView content, int level, ByteCount frame_size);

/// The same, at this level whatever the content.
CompressedFrame compress_frame_at(ByteView content, int level, ByteCount frame_size);

/// Memory that a thread's compression context takes at this level and frame size, beyond content and output; 0 for
/// store_level.
ByteCount compressor_bytes(int level, ByteCount frame_size);

/// Decompresses one frame of exactly out.size() content bytes, all of which are written. Throws Error{corrupt} when the
/// frame is damaged, is not one whole frame, or does not have that size; never writes more. Thread-safe.
void decompress_frame(ByteView frame, MutableBytes out);

/// What a frame says of itself.
struct FrameExtent {
  ByteCount compressed = 0;  ///< bytes of the frame
  ByteCount content = 0;     ///< bytes it decompresses to; 0 for a frame that decoders skip
};
/// Measures the frame at the start of `bytes`; nothing is decompressed. Throws Error{corrupt} where no whole frame is,
/// or one that does not say how much it holds. Thread-safe.
FrameExtent measure_frame(ByteView bytes);

/// Decompresses a stream of frames, piece by piece, in bounded memory. Not thread-safe.
class StreamDecompressor {
 public:
  /// `window_log`: the largest window (2^n bytes) that is accepted. `is_foreign`: another program may have written the
  /// frames; else one that needs a dictionary is damage.
  explicit StreamDecompressor(int window_log = 27, bool is_foreign = false);
  ~StreamDecompressor();
  StreamDecompressor(const StreamDecompressor&) = delete;
  StreamDecompressor& operator=(const StreamDecompressor&) = delete;
  struct Step {
    std::size_t consumed = 0, produced = 0;
    bool frame_ended = false;  ///< all of a frame has been read and written, and its checksum was right
    /// Bytes of memory that the frame needs: its window, or its content where that is less; 0 while its header is not
    /// known.
    ByteCount window = 0;
  };
  /// Reads from `input`, writes into `output`; progress is made unless input or output is used up. Throws
  /// Error{corrupt}, and Error{unsupported} for a window that is larger than accepted, or where there is no memory for
  /// it, and for a foreign frame that needs a dictionary or is of an early version of zstd.
  Step step(ByteView input, MutableBytes output);
  /// Whether the last step() threw because the bytes where a frame should begin are no frame, rather than for damage.
  bool met_no_frame() const noexcept { return met_no_frame_; }

 private:
  struct State;
  void note_header(ByteView input) noexcept;
  ByteCount window() const noexcept;
  Error failure(std::size_t result) const;
  static constexpr std::size_t most_header_bytes = 18;  // RFC 8878, 3.1.1.1: magic number and frame header
  const int window_log_;
  const bool is_foreign_;
  std::byte header_[most_header_bytes];
  std::size_t header_bytes_ = 0;  ///< known of the present frame's header
  ByteCount consumed_ = 0;        ///< bytes of the present frame
  ByteCount window_ = 0;          ///< of the present frame; 0 while it is not known
  bool met_no_frame_ = false;
  std::unique_ptr<State> state_;
};

}  // namespace bale::archive
