// Decompressed frames, kept for those who read on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/bytes.hpp"
#include "base/mutex.hpp"

namespace bale::mount {

/// A decompressed frame of an archive.
struct CachedFrame {
  ByteCount offset = 0;      ///< of its first byte in the archive's file
  ByteCount compressed = 0;  ///< bytes that it takes there
  Buffer bytes;
};

/// The frames that were used last, up to a number of bytes; each is loaded by one reader while the others wait for it.
/// Thread-safe.
class FrameCache {
 public:
  using Frame = std::shared_ptr<const CachedFrame>;
  /// Frames that lie one behind the other, the first of them the one that was asked for.
  using Load = std::function<std::vector<Frame>()>;

  /// `limit`: decompressed bytes of the frames that are kept. One frame is kept even where it is larger.
  explicit FrameCache(ByteCount limit) : limit_(limit) {}

  /// The frame of `archive` (any number that stands for one archive) that starts at `offset`. Where it is not kept,
  /// `load` is called, without a lock, to read the bytes `offset` to `end` of the archive; while it runs, others who
  /// want a frame in that range wait. What `load` throws is thrown here, and to those who waited for the same frame;
  /// nothing of it is kept. Throws Error{cancelled} when `stop` is requested while it waits, Error{internal} where
  /// `load` gives no frame.
  Frame get(std::int64_t archive, ByteCount offset, ByteCount end, const Load& load, const std::stop_token& stop);

  /// Decompressed bytes that are kept now.
  ByteCount bytes() const;

 private:
  using Key = std::pair<std::int64_t, ByteCount>;
  /// A load that is under way.
  struct Flight {
    std::int64_t archive;
    ByteCount begin, end;
    bool done = false;
    std::vector<Frame> frames;
    std::exception_ptr failure;
  };
  Frame kept(const Key& key) BALE_REQUIRES(mutex_);
  std::shared_ptr<Flight> flight_over(const Key& key) BALE_REQUIRES(mutex_);
  void keep(std::int64_t archive, const Frame& frame) BALE_REQUIRES(mutex_);
  Frame fly(const std::shared_ptr<Flight>& flight, const Load& load);

  const ByteCount limit_;
  mutable Mutex mutex_;
  std::condition_variable_any landed_;
  std::list<std::pair<Key, Frame>> frames_ BALE_GUARDED_BY(mutex_);  ///< the one used last comes first
  std::map<Key, std::list<std::pair<Key, Frame>>::iterator> places_ BALE_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Flight>> flights_ BALE_GUARDED_BY(mutex_);
  ByteCount bytes_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::mount
