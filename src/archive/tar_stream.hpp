// The tar inside of an archive's zstd frames, read in order. libarchive knows every dialect of tar; nobody else in Bale
// sees it.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive/compress.hpp"
#include "archive/read_ahead.hpp"
#include "archive/remark.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "transfer/byte_io.hpp"

struct archive;

namespace bale::archive {

/// Throws Error{corrupt} where the file does not begin with a zstd frame.
void check_zstd_start(transfer::RandomSource& source);

/// Whole frames of a file, decompressed from the first to the last, in bounded memory. Not thread-safe.
class FrameStream {
 public:
  /// The frames that are read.
  struct Part {
    ByteCount file_begin = 0, file_end = 0;  ///< bytes of the file; both are ends of frames
    ByteCount tar_begin = 0;                 ///< what the first of them decompresses to begins here in the tar stream
    /// Bytes behind a frame that are no frame end the stream, and are not damage: see tail(). Else `file_end` is the
    /// end of a frame.
    bool may_have_tail = false;
  };
  /// Bytes of the file behind its last frame that are no zstd frame.
  struct Tail {
    ByteCount offset = 0, bytes = 0;
    bool is_zero = true;  ///< zeros alone: padding
  };
  /// How far the stream has come: so much of the file gave so much of the tar stream.
  struct Position {
    ByteCount file_offset = 0, tar_offset = 0;
  };
  struct Observer {
    /// See ReadAhead::Wanted. Empty: all of the part.
    std::function<ByteCount(ByteCount file_offset, const Position& position)> wanted;
    /// A frame, skippable ones too, ended in front of these places. May throw Error{corrupt}.
    std::function<void(ByteCount file_offset, ByteCount tar_offset)> frame_ended;
  };

  /// `source` is borrowed; `window_log` as for StreamDecompressor. Reads nothing yet.
  FrameStream(transfer::RandomSource& source, const Part& part, Observer observer = {}, ReadAheadMeans means = {},
              int window_log = 27);

  /// The next bytes; empty at the end. Valid until the next call. Throws Error{corrupt} for damage, whatever the source
  /// throws, and what an observer threw; the stream is broken() then.
  ByteView next();
  /// Makes `tar_offset` the place of the next byte that next() gives: forward by decompressing and dropping, backward
  /// within what the last next() gave. False where it is neither. Throws as next().
  bool seek(ByteCount tar_offset);
  /// Reads to the end, so that the last frame's checksum is verified. Throws as next().
  void drain();
  /// Place in the tar stream of the next byte that next() gives.
  ByteCount tar_offset() const noexcept { return block_begin_ + given_; }
  bool broken() const noexcept { return broken_; }
  /// Returns what lies behind the last frame, once next() gave nothing; absent where the file ends with its frames.
  const std::optional<Tail>& tail() const noexcept { return tail_; }

 private:
  ByteView next_block();
  bool step_into_output();
  void begin_tail();
  Position position() const noexcept { return {input_.offset() - rest_.size(), tar_end_}; }

  const Part part_;
  const Observer observer_;
  ByteCount tar_end_;         ///< of what was decompressed
  ByteCount frame_begin_;     ///< in the file, of the present frame
  bool head_is_zero_ = true;  ///< of the bytes of the present frame that were taken so far
  std::optional<Tail> tail_;
  Buffer output_;
  ByteView rest_;              ///< what was read and not yet decompressed
  ByteView block_;             ///< what was decompressed last
  ByteCount block_begin_ = 0;  ///< its place in the tar stream
  std::size_t given_ = 0;      ///< bytes of it that next() gave
  bool inside_frame_ = false, more_ = false, broken_ = false;
  StreamDecompressor decompressor_;
  flow::Ticket window_;  ///< for a window that is larger than usual
  ReadAhead input_;      ///< last: it asks position()
};

/// Says that the bytes behind an archive are not read.
Remark remark_of_tail(const FrameStream::Tail& tail);

/// The members of a tar, one after the other, from the place of a stream on. Tars that follow one another are read on,
/// as `tar --ignore-zeros` does. Not thread-safe.
class TarStream {
 public:
  /// `bytes` is borrowed, and read ahead of the members by a block. Throws as next().
  explicit TarStream(FrameStream& bytes);

  struct Member {
    std::string name;
    ByteCount size = 0;
    bool regular = false;         ///< neither a link nor a directory nor a device; a hard link that has its own data is
    std::string hard_link_to;     ///< name of the member whose data a hard link has; empty for all others
    bool is_strange = false;      ///< has data, but its type is unknown, or it is a directory
    bool is_directory = false;    ///< by its type, or a regular file whose name ends with '/', as old tars have them
    bool in_one_piece = true;     ///< not a sparse file, whose holes the tar leaves out
    ByteCount header_offset = 0;  ///< of its first header, extended ones included, in the tar stream
    ByteCount data_offset = 0;    ///< of its first byte in the tar stream
    std::uint32_t mode = 0;       ///< permission bits (0777)
    TimePoint modified{};         ///< the epoch where the tar has none, or one outside of the years 1 to 9999
  };
  /// Absent at the end of the tar. Throws Error{corrupt} for what is no tar, for headers of one member that are longer
  /// than 16 MiB, and as FrameStream::next().
  std::optional<Member> next();
  /// Reads up to bytes.size() bytes of the present member; fewer only at its end. Throws as next().
  std::size_t read(MutableBytes bytes);
  /// Number of tars in front of the present one.
  std::size_t tars_before() const noexcept { return tars_before_; }
  /// Place in the tar stream where the member that next() gave before the last call ends, with its padding.
  ByteCount member_end() const noexcept { return member_end_; }
  /// Returns what lies between and behind the tars, for a person; complete once next() gave nothing.
  std::vector<Remark> remarks() const;
  /// Whether bytes follow the end of the last tar that are neither zeros nor a tar; known once next() gave nothing.
  bool goes_on() const noexcept { return foreign_at_.has_value(); }

 private:
  struct Close {
    void operator()(::archive* tar) const noexcept;
  };
  static long pull(::archive* tar, void* self, const void** buffer);
  void open();
  std::optional<Member> next_of_tar();
  void skip_data_of_directory();
  bool find_next_tar();
  bool begin_tar(std::string block, ByteCount at);
  void take_back(ByteCount unused);
  void skip(ByteCount bytes);
  void begin_at(ByteCount at);
  std::string take_block();
  ByteView give();
  ByteCount taken() const;
  char type_of_member() const;
  int check(int result);

  FrameStream& bytes_;
  ByteCount begin_;           ///< of the present tar
  std::string pushed_;        ///< to be given before anything else
  ByteView rest_;             ///< to be given before the stream goes on
  std::string pushed_given_;  ///< the part of it that libarchive was given
  ByteView given_;            ///< what libarchive was given last
  ByteCount given_end_;       ///< its end in the tar stream
  std::string before_given_;  ///< the last bytes in front of it, up to a block
  std::size_t tars_before_ = 0;
  ByteCount member_end_;
  std::optional<ByteCount> lone_zero_at_;  ///< of the first zero block that no other one follows
  std::optional<ByteCount> foreign_at_;    ///< of bytes behind the end that are no tar
  bool has_member_ = false;
  ByteCount directory_bytes_ = 0;          ///< data of the present member, which libarchive takes for a directory
  std::optional<ByteCount> header_bytes_;  ///< while headers are read: what was read for them
  std::exception_ptr failure_;
  std::unique_ptr<::archive, Close> tar_;
};

}  // namespace bale::archive
