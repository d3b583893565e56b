// Single frames, for those who keep them: where an archive's frames are, and what is in them.
#pragma once

#include <functional>
#include <vector>

#include "archive/compress.hpp"
#include "archive/frame_index.hpp"
#include "archive/reader.hpp"
#include "base/xxh64.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// The frames with content of an archive, out of its seek table alone: one request, a second one where the table is
/// longer than 64 KiB. `source` is borrowed for the call. Throws Error{unsupported} for an archive without a seek table
/// that has checksums (the reference's), Error{corrupt} naming what is wrong with the table.
FrameIndex read_frame_index(transfer::RandomSource& source, const ReaderLimits& limits = {});

/// Decompresses `compressed` into `out`, which has `frame.decompressed` bytes, and holds it against its entry in the
/// seek table, and its bytes against their hash where it is known. Throws Error{corrupt}. Thread-safe.
void read_frame(ByteView compressed, const Frame& frame, MutableBytes out);

/// One frame, decompressed piece by piece, in memory that does not depend on its size: about 1 MiB and the window that
/// it was compressed with. Not thread-safe.
class FramePieces {
 public:
  /// Gives `length` compressed bytes of the file from `offset` on.
  using ReadAt = std::function<Buffer(ByteCount offset, ByteCount length)>;
  FramePieces(const Frame& frame, ReadAt read_at, int window_log);
  /// The next bytes of the content; empty at the end, which is reached only where the frame is what read_frame() would
  /// accept. Valid until the next call. Throws Error{corrupt}, and what `read_at` throws.
  ByteView next();
  /// Bytes of content that next() gave.
  ByteCount given() const noexcept { return given_; }

 private:
  StreamDecompressor::Step decompress();
  void read_more();
  void finish() const;
  const Frame frame_;
  const int window_log_;
  const ReadAt read_at_;
  Buffer compressed_, content_;
  ByteView rest_;        ///< of compressed_, not yet decompressed
  ByteCount taken_ = 0;  ///< compressed bytes that were read
  ByteCount given_ = 0;
  std::uint32_t last_bytes_ = 0;  ///< the last four that were read: the frame's checksum, at its end
  Xxh64 hash_;
  StreamDecompressor decompressor_;
  bool more_ = false, ended_ = false;
};

/// A frame of a run of frames.
struct RunFrame {
  ByteCount at = 0;          ///< of its first byte in the run
  ByteCount compressed = 0;  ///< bytes up to the next frame with content: frames that decoders skip are counted here
  Buffer content;
};

/// Decompresses frames that lie one behind the other, as a MemberLocation names them; those without content are left
/// out. `may_hold` is told how many bytes the frames claim before memory is taken for them, and may throw. Throws
/// Error{corrupt} where `run` is not whole frames, or a frame's checksum is wrong, or one claims more than
/// `limits.max_frame_bytes`. Pure. Thread-safe.
std::vector<RunFrame> decompress_run(ByteView run, const std::function<void(ByteCount)>& may_hold,
                                     const ReaderLimits& limits = {});

}  // namespace bale::archive
