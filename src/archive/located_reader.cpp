#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "archive/compress.hpp"
#include "archive/located_header.hpp"
#include "archive/reader.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t block_bytes = 256 << 10;

/// Takes the decompressed bytes of an object's frames: drops what is before and behind the object.
class ObjectBytes {
 public:
  ObjectBytes(ByteCount skip, ByteCount size, const std::vector<std::string>& names,
              const std::function<void(ByteView)>& sink)
      : skip_(skip), left_(size), header_(skip, size, names), sink_(sink) {}

  void take(ByteView bytes) {
    const ByteCount dropped = std::min<ByteCount>(skip_, bytes.size());
    header_.take(bytes.first(dropped), skip_);
    skip_ -= dropped;
    if (skip_ > 0) return;
    if (!std::exchange(begun_, true)) header_.check();
    bytes = bytes.subspan(dropped);
    const ByteView wanted = bytes.first(std::min<ByteCount>(left_, bytes.size()));
    surplus_ += bytes.size() - wanted.size();
    if (wanted.empty()) return;
    left_ -= wanted.size();
    digest_.update(wanted);
    sink_(wanted);
  }
  bool complete() const noexcept { return skip_ == 0 && left_ == 0; }
  ByteCount surplus() const noexcept { return surplus_; }
  Sha256Digest digest() { return digest_.finish(); }

 private:
  ByteCount skip_, left_, surplus_ = 0;
  HeaderCheck header_;
  bool begun_ = false;
  const std::function<void(ByteView)>& sink_;
  Sha256 digest_;
};

/// Reads the stream to its end, so that every frame's checksum has been verified.
void decompress_all(store::GetStream& stream, ObjectBytes& object, ByteCount most_surplus) {
  StreamDecompressor decompressor;
  Buffer input(block_bytes), output(block_bytes);
  bool between_frames = true;
  while (const std::size_t got = stream.read({input.data(), input.capacity()})) {
    ByteView rest(input.data(), got);
    for (bool more = true; more || !rest.empty();) {
      const auto step = decompressor.step(rest, {output.data(), output.capacity()});
      if (step.consumed > 0 || step.produced > 0) between_frames = step.frame_ended;
      rest = rest.subspan(step.consumed);
      object.take({output.data(), step.produced});
      // Behind the object there is at most the rest of its last frame; more is a bomb.
      if (object.surplus() > most_surplus) throw Error(ErrorKind::corrupt, "the frame is larger than any frame may be");
      more = step.produced == output.capacity();  // the decoder may hold more than found room
    }
  }
  if (!between_frames) throw Error(ErrorKind::corrupt, "the last frame is cut short");
}

void read_located_from(store::GetStream& stream, const MemberLocation& location, ByteCount size,
                       const std::string& sha256, const std::function<void(ByteView)>& sink,
                       const std::vector<std::string>& member_names) {
  if (stream.length() != location.frame_length)
    throw Error(ErrorKind::corrupt, fmt::format("the archive has only {} of the object's {} compressed bytes",
                                                stream.length(), location.frame_length));
  ObjectBytes object(location.frame_skip, size, member_names, sink);
  decompress_all(stream, object, ReaderLimits{}.max_frame_bytes);
  if (!object.complete()) throw Error(ErrorKind::corrupt, "the frames end before the object does");
  if (!sha256.empty() && to_hex_digest(object.digest()) != sha256)
    throw Error(ErrorKind::corrupt, "the object's SHA-256 is not the one that was recorded");
}

}  // namespace

void read_located(store::ObjectStore& store, const ObjectAddress& archive, const MemberLocation& location,
                  ByteCount size, const std::string& sha256, const std::function<void(ByteView)>& sink,
                  const std::vector<std::string>& member_names) {
  const std::string where = fmt::format("{}, bytes {} to {}", to_uri(archive), location.frame_offset,
                                        location.frame_offset + location.frame_length);
  try {
    if (location.frame_length == 0 || location.frame_length > INT64_MAX || location.frame_offset > INT64_MAX ||
        location.frame_skip > ReaderLimits{}.max_frame_bytes)
      throw Error(ErrorKind::corrupt, "the recorded place of the object is impossible");
    const auto stream = store.get(archive, store::ByteRange::at(location.frame_offset, location.frame_length));
    read_located_from(*stream, location, size, sha256, sink, member_names);
  } catch (const Error& error) {
    // A range outside the archive: the record is of another file than the one that is there.
    if (error.kind() == ErrorKind::invalid && error.code() == "InvalidRange")
      throw Error(ErrorKind::corrupt, "the archive ends before the object's place", where);
    throw error.where().empty() ? error.with_where(where) : error;
  }
}

}  // namespace bale::archive
