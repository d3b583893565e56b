#include "archive/located_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "archive/compress.hpp"
#include "archive/located_header.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t block_bytes = 256 << 10;

bool can_be(const LocatedObject& object) noexcept {
  const MemberLocation& at = object.location;
  return at.frame_length > 0 && at.frame_length <= INT64_MAX && at.frame_offset <= INT64_MAX &&
         at.frame_skip <= ReaderLimits{}.max_frame_bytes;
}

ByteCount end_of(const LocatedObject& object) noexcept {
  return object.location.frame_offset + object.location.frame_length;
}

bool is_same_place(const LocatedObject& a, const LocatedObject& b) noexcept {
  return a.location.frame_offset == b.location.frame_offset && a.location.frame_length == b.location.frame_length;
}

/// Whether `object` may be read together with `range`, which lies before it.
bool fits(const LocatedRange& range, const LocatedObject& object, const RangeLimits& limits) noexcept {
  if (limits.alone || object.size > limits.content || range.content > limits.content - object.size) return false;
  const ByteCount end = range.offset + range.length;
  if (end_of(object) <= end) return true;  // its frames are read anyway
  const bool is_near = object.location.frame_offset <= end || object.location.frame_offset - end <= limits.gap;
  return is_near && end_of(object) - range.offset <= limits.range;
}

std::string place_of(const ObjectAddress& archive, ByteCount offset, ByteCount length) {
  return fmt::format("{}, bytes {} to {}", to_uri(archive), offset, offset + length);
}

/// One object on its way out of the decompressed bytes of its range. Positions count from the range's first byte.
struct Wanted {
  std::size_t index;
  ByteCount start;  ///< of its first byte
  MutableBytes into;
  HeaderCheck header;
  ByteCount filled = 0;
  bool header_is_right = false, is_done = false;

  /// The bytes from `position` on. Returns whether the object is complete. Throws Error{corrupt}.
  bool take(ByteCount position, ByteView bytes) {
    if (position < start) {
      const std::size_t before = std::min<ByteCount>(start - position, bytes.size());
      header.take(bytes.first(before), start - position);
      bytes = bytes.subspan(before);
      if (position + before < start) return false;
    }
    if (!std::exchange(header_is_right, true)) header.check();
    const std::size_t taken = std::min<ByteCount>(bytes.size(), into.size() - filled);
    if (taken > 0) std::memcpy(into.data() + filled, bytes.data(), taken);
    filled += taken;
    return filled == into.size();
  }
};

/// One call of read_range(): the compressed bytes go by once, and whatever begins at a frame that begins is taken out
/// of what they decompress to.
class RangeReading {
 public:
  RangeReading(const ObjectAddress& archive, const std::vector<LocatedObject>& objects, const LocatedRange& range,
               MutableBytes memory, RangeReceiver& receiver)
      : archive_(archive),
        objects_(objects),
        range_(range),
        memory_(memory),
        receiver_(receiver),
        at_(range.offset),
        frames_end_(range.offset) {}

  void run(store::GetStream& stream) {
    if (stream.length() != range_.length)
      throw Error(ErrorKind::corrupt,
                  fmt::format("the archive has only {} of the range's {} bytes", stream.length(), range_.length));
    StreamDecompressor decompressor;
    Buffer input(block_bytes), output(block_bytes);
    ByteView rest;
    bool holds_output = false;  // the decoder may hold more than found room
    for (;;) {
      if (between_frames_ && !begin_frame()) return;
      if (rest.empty() && !holds_output) {
        rest = {input.data(), stream.read({input.data(), input.capacity()})};
        if (rest.empty()) break;
      }
      if (between_frames_ && !skip_gap(rest)) continue;
      const auto step = decompressor.step(rest, {output.data(), output.capacity()});
      at_ += step.consumed;
      rest = rest.subspan(step.consumed);
      holds_output = !step.frame_ended && step.produced == output.capacity();
      take({output.data(), step.produced});
      if (step.consumed > 0 || step.produced > 0) between_frames_ = step.frame_ended;
      if (step.frame_ended) end_frame();
    }
    if (!between_frames_) throw Error(ErrorKind::corrupt, "the last frame is cut short");
  }

 private:
  /// Takes up the objects whose first frame begins here. Returns false when nothing is wanted any more.
  bool begin_frame() {
    for (; next_ < range_.objects.size(); ++next_) {
      const std::size_t index = range_.objects[next_];
      const LocatedObject& object = objects_[index];
      if (object.location.frame_offset > at_) break;
      const MutableBytes into = memory_.subspan(std::exchange(given_, given_ + object.size), object.size);
      if (object.location.frame_offset < at_) {
        fail(index, Error(ErrorKind::corrupt, "no frame begins at the object's recorded place"));
        continue;
      }
      frames_end_ = std::max(frames_end_, end_of(object));
      add({index, decompressed_ + object.location.frame_skip, into,
           HeaderCheck(object.location.frame_skip, object.size, object.member_names)});
    }
    if (at_ < frames_end_) return true;
    for (const Wanted& each : wanted_) {
      if (!each.is_done) fail(each.index, Error(ErrorKind::corrupt, "the frames end before the object does"));
    }
    wanted_.clear();
    first_ = 0;
    return next_ < range_.objects.size();
  }

  /// Keeps wanted_ in order of the places, which only records that lie put in question.
  void add(Wanted wanted) {
    farthest_header_ = std::max(farthest_header_, wanted.header.most());
    const auto behind =
        std::upper_bound(wanted_.begin() + static_cast<std::ptrdiff_t>(first_), wanted_.end(), wanted.start,
                         [](ByteCount start, const Wanted& w) { return start < w.start; });
    wanted_.insert(behind, std::move(wanted));
  }

  /// Between objects: bytes that are of no use. False when there are no others in `rest`.
  bool skip_gap(ByteView& rest) {
    if (at_ < frames_end_) return true;
    const ByteCount gap = objects_[range_.objects[next_]].location.frame_offset - at_;
    const std::size_t skipped = std::min<ByteCount>(gap, rest.size());
    at_ += skipped;
    rest = rest.subspan(skipped);
    return skipped == 0;  // else the frame that may begin here has to be taken up first
  }

  void take(ByteView bytes) {
    frame_bytes_ += bytes.size();
    if (frame_bytes_ > ReaderLimits{}.max_frame_bytes)
      throw Error(ErrorKind::corrupt, "the frame is larger than any frame may be");
    const ByteCount end = decompressed_ + bytes.size();
    for (std::size_t i = first_; i < wanted_.size() && wanted_[i].start <= end + farthest_header_; ++i)
      if (!wanted_[i].is_done) give(wanted_[i], bytes);
    while (first_ < wanted_.size() && wanted_[first_].is_done) ++first_;
    decompressed_ = end;
  }

  void give(Wanted& wanted, ByteView bytes) {
    try {
      if (!wanted.take(decompressed_, bytes)) return;
      const std::string& sha256 = objects_[wanted.index].sha256;
      if (!sha256.empty() && to_hex_digest(Sha256::of(wanted.into)) != sha256)
        throw Error(ErrorKind::corrupt, "the object's SHA-256 is not the one that was recorded");
    } catch (const Error& error) {
      wanted.is_done = true;
      return fail(wanted.index, error);
    }
    wanted.is_done = true;
    complete_.emplace_back(wanted.index, wanted.into);  // the checksum of the frame comes behind it
  }

  void end_frame() {
    frame_bytes_ = 0;
    for (const auto& [index, bytes] : std::exchange(complete_, {})) receiver_.object(index, bytes);
  }

  void fail(std::size_t index, const Error& error) {
    const MemberLocation& location = objects_[index].location;
    receiver_.failed(index, error.with_where(place_of(archive_, location.frame_offset, location.frame_length)));
  }

  const ObjectAddress& archive_;
  const std::vector<LocatedObject>& objects_;
  const LocatedRange& range_;
  const MutableBytes memory_;
  RangeReceiver& receiver_;
  std::size_t next_ = 0;        ///< of the range's objects: the first that was not taken up
  ByteCount given_ = 0;         ///< of memory_
  ByteCount at_, frames_end_;   ///< in the archive: here, and where the frames of what was taken up end
  ByteCount decompressed_ = 0;  ///< bytes so far; gaps do not count
  ByteCount frame_bytes_ = 0;   ///< of the frame that is under way
  bool between_frames_ = true;
  std::vector<Wanted> wanted_;  ///< by start
  std::size_t first_ = 0;       ///< of wanted_: those before are done
  ByteCount farthest_header_ = 0;
  std::vector<std::pair<std::size_t, ByteView>> complete_;  ///< in a frame that has not ended
};

}  // namespace

std::vector<LocatedRange> plan_ranges(const std::vector<LocatedObject>& objects, const RangeLimits& limits) {
  std::vector<std::size_t> all(objects.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return plan_ranges(objects, std::move(all), limits);
}

std::vector<LocatedRange> plan_ranges(const std::vector<LocatedObject>& objects, std::vector<std::size_t> wanted,
                                      const RangeLimits& limits) {
  const auto place = [&](std::size_t index) {
    const MemberLocation& at = objects[index].location;
    return std::tuple(at.frame_offset, at.frame_skip, at.frame_length, index);
  };
  std::sort(wanted.begin(), wanted.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  std::vector<LocatedRange> ranges;
  for (const std::size_t index : wanted) {
    const LocatedObject& object = objects[index];
    const bool together = !ranges.empty() && can_be(object) && can_be(objects[ranges.back().objects.front()]) &&
                          fits(ranges.back(), object, limits);
    if (!together) ranges.push_back({object.location.frame_offset, object.location.frame_length, 0, {}, true});
    LocatedRange& range = ranges.back();
    if (together) {
      range.length = std::max(range.offset + range.length, end_of(object)) - range.offset;
      range.has_one_place &= is_same_place(object, objects[range.objects.front()]);
    }
    range.content += object.size;
    range.objects.push_back(index);
  }
  return ranges;
}

void read_range(store::GetStream& stream, const ObjectAddress& archive, const std::vector<LocatedObject>& objects,
                const LocatedRange& range, MutableBytes memory, RangeReceiver& receiver) {
  if (memory.size() < range.content) throw Error(ErrorKind::internal, "too little memory for a range");
  RangeReading(archive, objects, range, memory, receiver).run(stream);
}

void read_range(store::ObjectStore& store, const ObjectAddress& archive, const std::vector<LocatedObject>& objects,
                const LocatedRange& range, MutableBytes memory, RangeReceiver& receiver) {
  const std::string where = place_of(archive, range.offset, range.length);
  try {
    for (const std::size_t index : range.objects) {
      if (!can_be(objects[index])) throw Error(ErrorKind::corrupt, "the recorded place of the object is impossible");
    }
    const auto stream = store.get(archive, store::ByteRange::at(range.offset, range.length));
    read_range(*stream, archive, objects, range, memory, receiver);
  } catch (const Error& error) {
    // A range outside the archive: the records are of another file than the one that is there.
    if (error.kind() == ErrorKind::invalid && error.code() == "InvalidRange")
      throw Error(ErrorKind::corrupt, "the archive ends before the object's place", where);
    throw error.where().empty() ? error.with_where(where) : error;
  }
}

}  // namespace bale::archive
