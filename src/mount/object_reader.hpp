// The bytes of objects, anywhere in them, out of archives that are read frame by frame.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <stop_token>

#include "archive/frame_index.hpp"
#include "base/mutex.hpp"
#include "flow/memory_budget.hpp"
#include "mount/frame_cache.hpp"
#include "mount/tree.hpp"
#include "store/object_store.hpp"

namespace bale::mount {

/// Returns the object's size. Throws Error{unsupported} where the catalog row does not say it.
ByteCount size_of(const catalog::Record& record);

/// Seek tables of the archives that were used last, so that each is read once. Thread-safe.
class FrameIndexCache {
 public:
  using Index = std::shared_ptr<const archive::FrameIndex>;
  /// The table of `archive`; where it is not kept, `load` is called, once for all who wait for it. Throws what it
  /// throws; nothing of that is kept.
  Index get(std::int64_t archive, const std::function<archive::FrameIndex()>& load);

 private:
  struct Slot {
    Mutex mutex;
    Index index BALE_GUARDED_BY(mutex);
  };
  std::shared_ptr<Slot> slot_of(std::int64_t archive);
  void forget_old(std::int64_t archive, std::size_t frames);
  Mutex mutex_;
  struct Place {
    std::int64_t archive;
    std::size_t frames;
    std::shared_ptr<Slot> slot;
  };
  std::list<Place> places_ BALE_GUARDED_BY(mutex_);  ///< the one used last comes first
};

/// Reads any bytes of an object. A small object's frame is read by the place that its catalog row names, in one
/// request; of an object of several frames, those that are wanted, which the archive's seek table (another request for
/// each archive, kept) tells apart. Frames are verified by their checksums, and the first one of an object by the tar
/// header in front of the object. Where an archive is gone or may not be read, its other copies are asked. Thread-safe.
class ObjectReader {
 public:
  /// All are borrowed. `budget`: memory for what is on its way into the cache; the cache's own is not taken from it.
  ObjectReader(store::ObjectStore& store, FrameCache& cache, flow::MemoryBudget& budget)
      : store_(store), cache_(cache), budget_(budget) {}

  /// Fills `out` with the object's bytes from `offset` on, which must lie in the object. Throws Error: corrupt, naming
  /// the archive and what is wrong; unsupported where the row does not say where the object is, or its size; cancelled
  /// on `stop`; what the store throws where the archive cannot be read.
  void read(const StoredObject& object, ByteCount offset, MutableBytes out, const std::stop_token& stop);
  /// Where in the object the frame behind the one that holds `offset` begins; absent where there is none, and for
  /// objects whose frames are read together. Throws as read() does.
  std::optional<ByteCount> next_frame(const StoredObject& object, ByteCount offset);

 private:
  void read_run(const StoredObject& object, ByteCount offset, MutableBytes out, const std::stop_token& stop);
  void read_frames(const StoredObject& object, ByteCount offset, MutableBytes out, const std::stop_token& stop);
  std::vector<FrameCache::Frame> load_run(const StoredObject& object, ByteCount offset, ByteCount end,
                                          const std::stop_token& stop);
  FrameCache::Frame load_frame(const StoredObject& object, const archive::Frame& frame, ByteCount end,
                               const std::stop_token& stop);
  /// The archive's frames, and which of them the object begins in.
  std::pair<FrameIndexCache::Index, std::size_t> frames_of(const StoredObject& object);
  Buffer fetch(const StoredObject& object, ByteCount offset, ByteCount length);

  store::ObjectStore& store_;
  FrameCache& cache_;
  flow::MemoryBudget& budget_;
  FrameIndexCache indexes_;
};

}  // namespace bale::mount
