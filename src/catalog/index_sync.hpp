// Brings the local index up to date with the catalog in its bucket.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "catalog/index_file.hpp"
#include "catalog/partitions.hpp"
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
  /// A catalog of at most so many files is listed as a whole every time: 1,000 files are one request.
  std::uint64_t files_always_listed = 5000;
};

/// A catalog file in a partition that lies in the future: the clock of the machine that packed its archive is wrong, or
/// this machine's.
struct FutureFile {
  ObjectKey key;
  std::string day;     ///< of the partition, "YYYY-MM-DD"
  TimePoint stored{};  ///< when the store got it; TimePoint{} where it is not known
};

struct SyncCounts {
  std::uint64_t files_added = 0, files_changed = 0, files_gone = 0;
  std::uint64_t files_damaged = 0;     ///< read, and not whole
  std::uint64_t files_unreadable = 0;  ///< listed, and the store does not give them
  std::uint64_t files_known = 0;       ///< listed, and in the index already
  std::uint64_t rows_added = 0;
  ByteCount bytes = 0;  ///< of catalog files that were read
  std::uint64_t files_in_future = 0;
  std::vector<FutureFile> future_files;  ///< the first of them, most_future_files at most
  bool is_of_new_store = false;          ///< the index was of another store, and was made anew
};

inline constexpr std::size_t most_future_files = 10;

/// Once a day all partitions are listed, so that what landed in a closed one after a long outage, or with the date of a
/// wrong clock, is found.
inline constexpr std::chrono::hours full_listing_after{24};

/// The note that says from which day on the index has all, "YYYY-MM-DD"; empty: all days.
inline constexpr const char* note_since = "since";
/// The note with SyncPlace::store_identity of the last sync that knew it.
inline constexpr const char* note_store = "store";

/// What a sync works with; everything is borrowed.
struct SyncPlace {
  store::ObjectStore& store;
  BucketName bucket;
  std::string prefix;  ///< within the bucket
  /// Differs between two stores that had the same name one after the other: see store_identity(). Empty where it is not
  /// known.
  std::string store_identity = {};
};

/// Returns the identity of the store that a bucket is in, from one ListBuckets: the store's id where it has one, and
/// the time when the bucket was made. Empty where that is not allowed or does not have the bucket (another account's).
std::string store_identity(store::ObjectStore& store, const BucketName& bucket);

/// Reads the catalog files that the index does not have, or has in another version, several at once, and adds their
/// rows. A listing is the truth about the partitions that it covers: files that it no longer has are taken out of the
/// index. An index of a store with another identity is emptied first. What was added stays when it is cut short, and
/// the next sync goes on from there. `damaged` is told of files that are damaged (their sound rows are added) or cannot
/// be read; they are read again the next time. Memory: a few groups of files of about a thousand rows, paid for by
/// `budget`. Throws what the store, store::Listing and the index throw; cancelled when the world stops; unavailable
/// when another sync of this index is under way.
SyncCounts sync_index(IndexFile& index, const SyncPlace& place, const SyncOptions& options, os::World& world,
                      flow::Pools pools, flow::MemoryBudget& budget, flow::Progress& progress,
                      const std::function<void(const DamagedFile&)>& damaged);

}  // namespace bale::catalog
