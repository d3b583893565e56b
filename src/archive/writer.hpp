// Writes an archive: members fetched, framed as tar and compressed in parallel, handed on in order.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/frame_levels.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/time.hpp"
#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// Frames of 8 MiB cost 5 % more space at level 12 than one frame of everything, 16 MiB less than 2 %: docs/adr/0005.
inline constexpr ByteCount default_frame_size = 16ULL << 20;
inline constexpr ByteCount min_frame_size = 64ULL << 10;
inline constexpr ByteCount max_frame_size = 128ULL << 20;
inline constexpr int default_level = 12;
inline constexpr int min_level = 0, max_level = 22;  ///< 0 is store_level: no work, no saving

/// A member to be written.
struct PlannedMember {
  std::string
      name;  ///< relative key: any bytes. The tar member is objects/<name>, escaped where it is not safe as a path
  ByteCount size = 0;         ///< exact; fetching must give this many bytes or fail
  std::uint32_t mode = 0644;  ///< permission bits of the tar member
};

/// Where the bytes of members come from. Called by many threads at once.
class MemberSource {
 public:
  virtual ~MemberSource() = default;
  /// Fills all of `into` with the bytes of member `index` from `offset` on, and returns the member's modification time.
  /// A member of up to a frame is fetched by one call, a larger one by several, in any order. A throw means that the
  /// member cannot be had: one of a single call is left out and reported, one of several calls ends the archive
  /// (MemberLost).
  virtual TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) = 0;
  /// Sees the bytes of a member that is fetched by several calls once more, in order from the first to the last, one
  /// call at a time for a member. Does nothing unless the source checks a member as a whole. A throw means that the
  /// member is not what it should be, and ends the archive (MemberLost).
  virtual void passed(std::size_t index, ByteCount offset, ByteView bytes) {
    static_cast<void>(index), static_cast<void>(offset), static_cast<void>(bytes);
  }
};

/// What became of a planned member.
struct WrittenMember {
  std::optional<Error> failure;  ///< set: the member is not in the archive
  std::string member;            ///< name of the tar member
  ByteCount data_offset = 0;     ///< of its first byte in the tar stream
  TimePoint modified{};
  Sha256Digest sha256{};
  // Where its bytes are in the file: one ranged read, then drop `frame_skip` bytes of what is decompressed.
  ByteCount frame_offset = 0;
  ByteCount frame_length = 0;
  ByteCount frame_skip = 0;
};

struct WriterOptions {
  int level = default_level;
  /// Borrowed; chooses the level of frames with members, in the place of `level`. May be null.
  FrameLevels* levels = nullptr;
  ByteCount frame_size = default_frame_size;
  flow::Progress* progress = nullptr;  ///< borrowed; may be null
  std::stop_token stop;
};

struct WriteResult {
  std::vector<WrittenMember> members;  ///< in the order of the plan
  ByteCount tar_bytes = 0;
  ByteCount archive_bytes = 0;
  std::size_t frames = 0;
  int level = default_level;  ///< of most bytes of the members
  double core_seconds = 0;    ///< processor time that compressing took
};

/// A large member failed after some of its bytes had been written: the archive was given up, nothing is left. Writing
/// it again without the member can succeed.
class MemberLost : public Error {
 public:
  MemberLost(std::size_t index, const Error& error) : Error(error), index_(index) {}
  std::size_t index() const noexcept { return index_; }

 private:
  std::size_t index_;
};

/// The order in which members compress well: by extension, then by last component (versions and copies of one file lie
/// beside each other), then by name. Returns indices.
std::vector<std::size_t> like_beside_like(const std::vector<PlannedMember>& members);

/// Writes the archive of `members`, in their order, into `sink`, and finishes it. `manifest` is called once, when all
/// members are done, with what became of them and their level, and returns the text of manifest.json. The bytes written
/// depend only on members, their content, levels, frame size and manifest, never on timing or the number of threads.
/// Memory: at most the budget (at least about 4 frames), in which names, results and the list of frames are counted
/// too. Throws Error{invalid}, before anything is read, where the frames are more than the format allows, or than a
/// quarter of the budget has room for. When `manifest` returns nothing, the archive is given up (sink
/// not finished) and the result says so by frames == 0. Throws MemberLost, Error{cancelled}, and what the sink throws.
/// All references are borrowed for the call.
WriteResult write_archive(const std::vector<PlannedMember>& members, MemberSource& source,
                          const std::function<std::optional<std::string>(const WriteResult&)>& manifest,
                          transfer::ByteSink& sink, flow::Pools pools, flow::MemoryBudget& budget,
                          const WriterOptions& options);

}  // namespace bale::archive
