// A file that somebody has open.
#pragma once

#include <optional>
#include <stop_token>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "mount/object_reader.hpp"

namespace bale::mount {

/// An object that is being read. An object of at most `whole_bytes` is verified by its SHA-256 before its first byte
/// is given; a larger one while it is read from its start to its end, before its last bytes are given. Reads may
/// overtake one another by a few MiB; who leaps about gets bytes that the frames' checksums alone vouch for.
/// Thread-safe.
class OpenObject {
 public:
  /// Bytes that are hashed at once: some milliseconds.
  static constexpr ByteCount whole_bytes = 4ULL << 20;

  /// `reader` is borrowed.
  OpenObject(ObjectReader& reader, StoredObject object) : reader_(reader), object_(std::move(object)) {}
  const StoredObject& object() const noexcept { return object_; }
  /// Reads from `offset` on, and returns how many bytes there were; fewer than asked for only at the end. Throws as
  /// ObjectReader::read() does; Error{corrupt} where the SHA-256 is not the recorded one, then and ever after.
  std::size_t read(ByteCount offset, MutableBytes out, const std::stop_token& stop);
  /// Where somebody who has read in order so far will want the next frame of a large object: told once, so that it can
  /// be read ahead. Throws as read() does.
  std::optional<ByteCount> next_wanted();
  /// Has the frame that holds `offset` in the cache, as far as one read can. Throws as ObjectReader::read() does.
  void load(ByteCount offset, const std::stop_token& stop);
  /// True for the first caller: whoever tells of a failure tells of it once for each open file.
  bool is_first_failure();

 private:
  void hash_up_to(ByteCount end, const std::stop_token& stop) BALE_REQUIRES(mutex_);
  void compare() BALE_REQUIRES(mutex_);
  void follow(ByteCount offset, ByteView bytes, const std::stop_token& stop) BALE_REQUIRES(mutex_);

  ObjectReader& reader_;
  const StoredObject object_;
  Mutex mutex_;
  Sha256 hash_ BALE_GUARDED_BY(mutex_);
  ByteCount hashed_ BALE_GUARDED_BY(mutex_) = 0;  ///< bytes from the start
  ByteCount ahead_ BALE_GUARDED_BY(mutex_) = 0;   ///< the last that next_wanted() told
  bool in_order_ BALE_GUARDED_BY(mutex_) = true;  ///< nobody leapt far ahead yet
  bool has_failed_ BALE_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ BALE_GUARDED_BY(mutex_);  ///< of the comparison
};

}  // namespace bale::mount
