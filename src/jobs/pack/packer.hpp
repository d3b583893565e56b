// A batch of objects in, an archive in the outbound bucket out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"
#include "telemetry/log.hpp"

namespace bale::pack {

/// An object version to be packed, as far as its event or a listing tells.
struct Item {
  ObjectKey key;
  ByteCount size = 0;    ///< a hint: the object is asked first where it says more than a frame
  ETag etag;             ///< empty: not known, the object is asked first
  VersionId version_id;  ///< empty: the current version, as long as it has `etag`
  std::string sequencer;
  TimePoint time{};      ///< of the event; of an item without sequencer when the object was last modified
  bool deleted = false;  ///< the key was deleted: recorded in the manifest, nothing is read
  /// What the key has now is not known: its current object is packed, and where it has none a deletion is recorded.
  bool ask_source = false;
  /// When the queue took the newest message that speaks of the item, by the queue's clock; absent: not known.
  std::optional<TimePoint> announced{};
};

enum class Fate {
  packed,    ///< durable in the outbound bucket
  recorded,  ///< as packed: that the key has no object any more
  gone,      ///< no such object or version any more: nothing is left to do
  failed,    ///< to be tried again
};

struct ItemResult {
  Fate fate = Fate::failed;
  std::optional<Error> error;      ///< set when failed
  bool attributes_failed = false;  ///< when failed: of the object's attributes or tags, not of its content
};

/// One archive that is now in the outbound bucket.
struct PackedArchive {
  ObjectKey key;
  std::size_t objects = 0;
  ByteCount object_bytes = 0;
  ByteCount archive_bytes = 0;
  int level = 0;            ///< of most of its bytes
  double core_seconds = 0;  ///< processor time that compressing took
  Milliseconds duration{};
};

struct PackResult {
  std::vector<ItemResult> items;  ///< one per item, in order
  std::vector<PackedArchive> archives;
};

/// What is the same for every batch of a source.
struct PackPlan {
  BucketName source_bucket;
  Region source_region;
  std::string prefix;  ///< monitored prefix, without trailing '/'
  BucketName outbound_bucket;
  std::string archive_prefix;  ///< where archives go in it, with trailing '/'
  std::vector<archive::Target> targets;
  int level = archive::default_level;
  archive::FrameLevels* levels = nullptr;  ///< borrowed; chooses in the place of `level`; may be null
  ByteCount frame_size = archive::default_frame_size;
  /// An archive that has reached so many bytes of objects takes no more: events may say less than the objects have.
  ByteCount max_bytes = ~ByteCount{0};
  /// Memory of what describes the objects of one archive: their attributes, which are known when they are read, and
  /// their text in the manifest. An archive that has reached it is closed, and the rest of a batch goes into another.
  ByteCount description_bytes = 32ULL << 20;
};

/// Packs batches of one source. Thread-safe: batches may be packed concurrently. All references are borrowed.
class Packer {
 public:
  Packer(PackPlan plan, store::ObjectStore& source, store::ObjectStore& outbound, os::World& world, telemetry::Log& log,
         flow::Pools pools, flow::MemoryBudget& budget);

  /// Packs the items that can be read into one archive, or into several where one would exceed `max_bytes` or
  /// `description_bytes`. Objects that are overwritten meanwhile are packed into another archive, in a few rounds at
  /// most. Every byte of an object comes from the same version. An object without sequencer is packed when the second
  /// in which it was written is over, so that no other version of that second is newer; a batch may wait 1.5 s for
  /// that. An item that fails does not keep the others back. When it returns, archives are durable. Throws only what
  /// concerns the batch as a whole (outbound bucket missing, stop requested): then no item of it was packed for
  /// certain.
  PackResult pack(const std::vector<Item>& items, std::stop_token stop);

 private:
  PackPlan plan_;
  store::ObjectStore& source_;
  store::ObjectStore& outbound_;
  os::World& world_;
  telemetry::Log& log_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
};

/// "{archive_prefix}backup_{epoch_ms}_{8 hex}.tar.zst": the hex digits are of a hash of the items, so that the same
/// batch packed again at the same moment has the same name, and different batches have different ones.
ObjectKey archive_key(const PackPlan& plan, const std::vector<Item>& items, TimePoint created);

/// The key below the monitored prefix: "b/c" of "a/b/c" under "a"; one '/' is taken off, no more. A key that is not
/// below the prefix stays whole.
std::string relative_key(std::string_view key, std::string_view prefix);

}  // namespace bale::pack
