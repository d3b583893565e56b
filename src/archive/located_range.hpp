// Many objects of one archive by their locations alone: neighbours come in one ranged read.
#pragma once

#include <string>
#include <vector>

#include "archive/reader.hpp"
#include "base/error.hpp"

namespace bale::archive {

/// An object as a catalog record describes it.
struct LocatedObject {
  MemberLocation location;
  ByteCount size = 0;
  std::string sha256;                     ///< lower-case hex; empty: not known
  std::vector<std::string> member_names;  ///< one of them has the object's tar header; empty: any
};

/// How far objects are read together.
struct RangeLimits {
  /// Between two objects: less than what a request costs in time on a fast line (64 KiB are 0.6 ms at 100 MiB/s).
  ByteCount gap = 64ULL << 10;
  /// Compressed bytes of a range, but for a single frame, which may be larger. S3 advises ranges of 8 to 16 MiB.
  /// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
  ByteCount range = 8ULL << 20;
  /// Bytes of the objects of a range, all together: what is held in memory. A larger object is alone.
  ByteCount content = 16ULL << 20;
  bool alone = false;  ///< each object has a range of its own: to measure what reading together saves
};

/// A run of an archive's bytes that is read by one GET, and what is wanted of it.
struct LocatedRange {
  ByteCount offset = 0, length = 0;  ///< in the archive
  ByteCount content = 0;             ///< bytes of the objects together
  std::vector<std::size_t> objects;  ///< indices, in the order of their places
  bool has_one_place = true;         ///< all of them are in the same frames
};

/// Ranges that hold all `objects` (of one archive), each object in one of them, by offset. Objects whose frames are the
/// same, adjacent or hardly apart share a range as far as `limits` allow. What has a location that cannot be is alone.
/// Pure; throws std::bad_alloc only.
std::vector<LocatedRange> plan_ranges(const std::vector<LocatedObject>& objects, const RangeLimits& limits = {});
/// The same, of some of the objects.
std::vector<LocatedRange> plan_ranges(const std::vector<LocatedObject>& objects, std::vector<std::size_t> wanted,
                                      const RangeLimits& limits);

/// Takes the objects of a range. Its calls come one after the other, on the thread of read_range().
class RangeReceiver {
 public:
  virtual ~RangeReceiver() = default;
  /// The whole object; its tar header, size, SHA-256 (where it has one) and the checksums of its frames are right.
  /// The bytes lie in the memory that read_range() was given.
  virtual void object(std::size_t index, ByteView bytes) = 0;
  /// This object cannot be had: what is at its place is not what was recorded.
  virtual void failed(std::size_t index, const Error& error) = 0;
};

/// Reads the range by one GET and decompresses every frame once. `memory` has range.content bytes; besides, a
/// decompressor's window and half a MiB are used. Each object of the range is told to `receiver` once; but when it
/// throws, for those that were not told the error stands: Error{corrupt} for bytes that cannot be decompressed, what
/// the store throws, and what the receiver throws. Everything is borrowed for the call.
void read_range(store::ObjectStore& store, const ObjectAddress& archive, const std::vector<LocatedObject>& objects,
                const LocatedRange& range, MutableBytes memory, RangeReceiver& receiver);
/// The same, of an answer that is there; `archive` is its name for messages.
void read_range(store::GetStream& stream, const ObjectAddress& archive, const std::vector<LocatedObject>& objects,
                const LocatedRange& range, MutableBytes memory, RangeReceiver& receiver);

}  // namespace bale::archive
