// Brings the local index up to date with the catalog in its bucket.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "catalog/index_file.hpp"
#include "catalog/scan.hpp"
#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::catalog {

struct SyncOptions {
  std::optional<TimePoint> since;  ///< only partitions of this day and later
  bool full = false;               ///< list all partitions, also those that are closed
};

struct SyncCounts {
  std::uint64_t files_added = 0, files_changed = 0, files_gone = 0, files_damaged = 0;
  std::uint64_t files_known = 0;  ///< listed, and in the index already
  std::uint64_t rows_added = 0;
  ByteCount bytes = 0;  ///< of catalog files that were read
};

/// Partitions this much older than the newest that is known are taken for closed: archives of theirs have landed. Once
/// a day all are listed nevertheless, so that what landed after a longer outage is found, and what was removed is left
/// out.
inline constexpr std::chrono::days open_partitions{7};
inline constexpr std::chrono::hours full_listing_after{24};

/// The note of an index that says when it was last synced, in milliseconds since 1970.
inline constexpr const char* note_synced = "synced_ms";
/// The note that says from which day on the index has all, "YYYY-MM-DD"; empty: all days.
inline constexpr const char* note_since = "since";

/// What a sync works with; everything is borrowed.
struct SyncPlace {
  store::ObjectStore& store;
  BucketName bucket;
  std::string prefix;  ///< within the bucket
};

/// Reads the catalog files that the index does not have, or has in another version, several at once, and adds their
/// rows; takes out those that are gone. What was added stays when it is cut short, and the next sync goes on from
/// there. Sound rows of a damaged file are added, and `damaged` is told of it; it is read again the next time. Memory:
/// a few groups of files of about a thousand rows, paid for by `budget`. Throws what the store and the index throw;
/// cancelled when the world stops; unavailable when another sync of this index is under way.
SyncCounts sync_index(IndexFile& index, const SyncPlace& place, const SyncOptions& options, os::World& world,
                      flow::Pools pools, flow::MemoryBudget& budget, flow::Progress& progress,
                      const std::function<void(const DamagedFile&)>& damaged);

}  // namespace bale::catalog
