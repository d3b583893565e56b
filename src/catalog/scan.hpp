// Reads the catalog files of a bucket.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "catalog/file.hpp"
#include "catalog/record.hpp"
#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"

namespace bale::catalog {

struct ScanCounts {
  std::size_t files = 0;
  std::size_t records = 0;
  ByteCount bytes = 0;
  std::size_t damaged_files = 0;  ///< also those that are listed and cannot be read
};

/// A catalog file that does not hold all the rows that were written into it, or that is listed and cannot be read.
struct DamagedFile {
  ObjectAddress file;
  Error error;  ///< corrupt, or why the file cannot be read; names the archive, where() is the file
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

/// Reads a file piece by piece, as FileReader, with what is known of the file in what is returned. `next` gives the
/// next piece of its text, and nothing at the end; where it throws Error{corrupt}, the file is damaged. Throws what
/// else `next` and `visit` throw.
std::optional<DamagedFile> read_catalog_file(const ObjectAddress& file, const std::function<std::string_view()>& next,
                                             const std::function<void(Record)>& visit,
                                             ByteCount most_held = default_held_bytes);
/// The same of a text in memory.
std::optional<DamagedFile> read_catalog_file(const ObjectAddress& file, std::string_view text,
                                             const std::function<void(Record)>& visit);

/// A catalog file of which nothing can be read; `error` is what the store says.
DamagedFile unreadable_file(const ObjectAddress& file, const Error& error);

/// Counts the files that a service lists and fails to give (500, a timeout), although it was asked several times. A few
/// are findings about these files; where more fail, the service is at fault.
class FailingFiles {
 public:
  /// Throws the error of `file` where it is the ninth such file.
  void check(const DamagedFile& file);

 private:
  int count_ = 0;
};

/// What was read of a listed catalog file.
struct ListedFileText {
  std::string text;
  ETag etag;                        ///< of the version that was read
  std::optional<Error> unreadable;  ///< why the store does not give the file; the text is then empty
};

/// Reads the version of a catalog file that was listed with `etag`. When the store says that it is gone or another
/// version, the file is listed once more: nullopt if it is no longer listed; a new version is read instead. A file that
/// stays listed and is not given comes back as `unreadable`, and so does a version of more than `most` bytes. Throws
/// what concerns more than this file: failures of the listing, a missing bucket, a stop.
std::optional<ListedFileText> read_listed_file(store::ObjectStore& store, const ObjectAddress& file, const ETag& etag,
                                               ByteCount most);

/// What was read of a listed catalog file whose records were visited.
struct VisitedFile {
  ETag etag;                          ///< of the version that was read
  ByteCount bytes = 0;                ///< of its text
  std::optional<DamagedFile> damage;  ///< it is not whole, or the store does not give it
};

/// Reads a file as read_listed_file() does, of any size, and calls `visit` with each sound record while it reads.
/// `read` is called with the bytes of each piece of text, after its records. `most_held` is FileReader's. Memory: a
/// piece, and what FileReader holds. Throws what read_listed_file() throws, and what the callbacks throw.
std::optional<VisitedFile> visit_listed_file(store::ObjectStore& store, const ObjectAddress& file, const ETag& etag,
                                             const std::function<void(Record)>& visit,
                                             const std::function<void(ByteCount)>& read,
                                             ByteCount most_held = default_held_bytes);

/// Calls `visit` with every sound record of the catalog files (*.jsonl) under `prefix` of `bucket`, and `damaged` with
/// every file that is not whole or cannot be read, after its records; files in parallel on `connections`, one call at a
/// time, in no particular order. Memory: a few files at a time. Throws what read_listed_file() and store::Listing
/// throw, and what the callbacks throw.
ScanCounts scan(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                flow::ThreadPool& connections, const std::function<void(Record)>& visit,
                const std::function<void(const DamagedFile&)>& damaged);

}  // namespace bale::catalog
