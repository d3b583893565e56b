// Reads the catalog files of a bucket.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "catalog/record.hpp"
#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"

namespace bale::catalog {

struct ScanCounts {
  std::size_t files = 0;
  std::size_t records = 0;
  ByteCount bytes = 0;
  std::size_t damaged_files = 0;
};

/// A catalog file that does not hold all the rows that were written into it.
struct DamagedFile {
  ObjectAddress file;
  Error error;  ///< corrupt; names the archive, where() is the file
  /// Of the archive that the file speaks of: as a sound row says, else archive_key_of(file.key).
  ObjectKey archive_key;
  std::vector<BucketName> buckets;  ///< where a sound row says that the archive is; empty where none is left
};

/// The key of the archive that a catalog file of this key speaks of: the file's without the partitions and ".jsonl".
/// Empty for keys of another form.
ObjectKey archive_key_of(const ObjectKey& catalog_file);

/// Whether a key is that of a catalog file.
bool is_catalog_file(const ObjectKey& key) noexcept;
/// The day of the partition that a catalog file lies in, "YYYY-MM-DD"; empty where it lies in none.
std::string partition_day(const ObjectKey& catalog_file);

/// The most bytes that are read of a catalog file: one of a batch of a million objects is well below this.
inline constexpr ByteCount most_file_bytes = 2ULL << 30;
/// As read_file_text(), with what is known of the file in what is returned.
std::optional<DamagedFile> read_catalog_file(const ObjectAddress& file, std::string_view text,
                                             const std::function<void(Record)>& visit);

/// A catalog file of which the store says that it is damaged: nothing of it can be read.
DamagedFile unreadable_file(const ObjectAddress& file, const Error& error);

/// Calls `visit` with every sound record of the catalog files (*.jsonl) under `prefix` of `bucket`, and `damaged` with
/// every file that is not whole, after its records; files in parallel on `connections`, one call at a time, in no
/// particular order. Memory: a few files at a time. Throws what the store throws, and what the callbacks throw.
ScanCounts scan(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                flow::ThreadPool& connections, const std::function<void(Record)>& visit,
                const std::function<void(const DamagedFile&)>& damaged);

}  // namespace bale::catalog
