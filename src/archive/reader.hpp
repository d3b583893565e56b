// Reads archives: any member by one ranged read, or all of them in parallel.
#pragma once

#include <algorithm>
#include <bit>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/remark.hpp"
#include "base/error.hpp"
#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// The largest window that zstd decompresses, 2^n bytes (ZSTD_WINDOWLOG_MAX_64 of zstd.h).
inline constexpr int max_window_log = 31;

/// Bounds checked before memory is taken.
struct ReaderLimits {
  ByteCount max_manifest_bytes = 2ULL << 30;  ///< of its text, which is never in memory as a whole
  std::uint64_t max_frames = 0x8000000;       ///< of the seekable format 0.1.0
  ByteCount max_frame_bytes = 1ULL << 30;     ///< decompressed; of the seekable format's reference implementation
  /// Memory of what describes an archive: its lists of frames and of objects. A quarter of `budget`, where there is
  /// one, and counted in it as long as the archive is open; else `memory`. The budget is borrowed, and outlives
  /// readers.
  flow::MemoryBudget* budget = nullptr;
  ByteCount memory = default_memory_share;
  /// The largest window, 2^n bytes, with which a stream may have been compressed: what the whole budget has room for.
  int window_log() const noexcept {
    const ByteCount most = budget != nullptr ? budget->limit() : 4 * memory;
    // A larger one than usual is counted in the budget.
    return std::clamp(static_cast<int>(std::bit_width(most)) - 1, 20, budget != nullptr ? max_window_log : 27);
  }
  MemoryShare share() const { return budget != nullptr ? MemoryShare(*budget) : MemoryShare(memory); }
};

/// Where a member's bytes are.
struct MemberLocation {
  ByteCount frame_offset = 0;  ///< in the file
  ByteCount frame_length = 0;  ///< compressed bytes of all frames that hold the member
  ByteCount frame_skip = 0;    ///< bytes to drop after decompression
};

/// A run of bytes of one object inside a decompressed frame.
struct MemberPiece {
  std::size_t object = 0;  ///< index into manifest().objects
  ByteCount offset = 0;    ///< in the object
  ByteView bytes;          ///< valid as long as the frame's buffer
};

/// A decompressed frame, shared by those who still need its pieces; its ticket is given back with the last.
struct FrameData {
  Buffer bytes;
  flow::Ticket ticket;
};

/// Damage found in an archive: which frame, and which objects cannot be had whole.
struct Damage {
  std::size_t frame = 0;
  Error error;
  std::vector<std::size_t> objects;
};

/// Receives the frames of an archive. Objects of size 0 come as one piece without bytes.
class FrameVisitor {
 public:
  virtual ~FrameVisitor() = default;
  /// One call a frame, in the order of the frames, one at a time, on a thread of the caller's choice; `pieces` are in
  /// order. Slow work is handed to a pool, keeping `frame` alive.
  virtual void frame(std::shared_ptr<const FrameData> frame, const std::vector<MemberPiece>& pieces) = 0;
  /// A frame that cannot be read; the frames behind it follow.
  virtual void damaged(const Damage& damage) = 0;
};

/// An open archive. Thread-safe after open(). The source is borrowed.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual const Manifest& manifest() const = 0;
  /// Whether it is known where single members are: false for archives of other programs without an index beside them,
  /// and for those of Bale with a flaw(), unless they have one.
  virtual bool random_access() const = 0;
  /// What is wrong with the archive although its objects can be read: its seek table is gone or damaged, so that it was
  /// opened as a stream.
  virtual std::optional<Error> flaw() const { return std::nullopt; }
  /// What lies behind the archive's end, or was left out, for a person: its objects can be read all the same.
  virtual std::vector<Remark> remarks() const { return {}; }
  virtual std::size_t frames() const = 0;
  virtual ByteCount archive_bytes() const = 0;
  virtual ByteCount tar_bytes() const = 0;
  /// Error{unsupported} unless random_access().
  virtual MemberLocation locate(std::size_t object) const = 0;
  /// Reads the frames that hold `objects` (empty: all objects), several at once, and visits them. Frames are verified
  /// by their checksums; objects are not: the visitor compares SHA-256. For a reference archive: pieces of at most 8
  /// MiB, in order.
  virtual void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools pools,
                    flow::MemoryBudget& budget, std::stop_token stop) = 0;
};

/// Called for an archive whose seek table is not Bale's, or damaged, with the last 256 KiB of the file or all of it:
/// gives another way to read it (its index beside it: sidecar_reader.hpp), or null.
using OtherWay = std::function<std::unique_ptr<Reader>(ByteView tail)>;

/// Reads tail, seek table and manifest. Where there is no seek table of Bale: `other_way`, and else the whole stream,
/// to find its manifest. Throws Error{corrupt} naming what is wrong, Error{unsupported} where its description takes
/// more memory than its share; sizes are checked against `limits` and the file before memory is taken.
std::unique_ptr<Reader> open_archive(transfer::RandomSource& source, const ReaderLimits& limits = {},
                                     const OtherWay& other_way = {});

/// Whether the archive has a seek table of Bale that is sound, and so needs no index beside it. Reads what
/// open_archive() reads at the end of the file.
bool has_own_index(transfer::RandomSource& source, const ReaderLimits& limits = {});

/// Reads one object by its location alone, without opening the archive (a catalog record is enough): one ranged read of
/// `location`, decompressed as it comes, `size` bytes handed to `sink` in order. Before the first of them, verifies
/// that the tar header in front of the object has one of `member_names` (empty: any) and the size; the header of an
/// empty object may end the frame before, and is then not seen. Verifies `sha256` (hex) where not empty before it
/// returns. Bounded memory. Throws Error{corrupt}.
void read_located(store::ObjectStore& store, const ObjectAddress& archive, const MemberLocation& location,
                  ByteCount size, const std::string& sha256, const std::function<void(ByteView)>& sink,
                  const std::vector<std::string>& member_names = {});

}  // namespace bale::archive
