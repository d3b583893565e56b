// Which archive belongs to which catalog file, from the listings of their buckets.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "catalog/archive_buckets.hpp"
#include "jobs/check/report.hpp"
#include "store/object_store.hpp"

namespace bale::check {

/// A bucket, and the keys in it that count.
struct Scope {
  BucketName bucket;
  std::string prefix;
};

/// The catalog of one region and the buckets that hold its archives.
struct Place {
  store::ObjectStore* store = nullptr;  ///< borrowed
  Scope catalog;
  /// Empty: archives are looked up as the rows name them, and those that no row names are not noticed.
  std::vector<Scope> backups;
  /// Start of a day (UTC): archives that were stored before, and catalog files of earlier days, are left out. A backup
  /// whose archives expire has older rows for ever.
  std::optional<TimePoint> since;
  catalog::ArchiveBuckets allowed{};  ///< where rows may lead; a row that names another bucket is a finding
};

/// One stored copy of an archive.
struct Copy {
  BucketName bucket;
  ByteCount size = 0;
  ETag etag;
  bool listed = true;  ///< false: nobody listed its bucket, a row led to it
};

struct CatalogFile {
  ObjectKey key;
  ByteCount size = 0;
};

/// An archive and what the catalog has of it. One of the two may be empty.
struct Pair {
  ObjectKey archive;
  std::vector<Copy> copies;
  std::vector<CatalogFile> files;
};

/// Whether a backup bucket's object is an archive: by its name.
bool is_archive_name(const ObjectKey& key) noexcept;

/// The key of the archive that a catalog file of this key speaks of, as catalog::archive_key_of(), without the region
/// that the replaced program puts in front of it. Empty for keys of another form.
ObjectKey paired_archive_key(const ObjectKey& catalog_file);

/// Lists archives and catalog files side by side and calls `visit` with each pair as soon as both are known, and in the
/// end with what is alone. Both listings run in the order of the archives' keys, as nearly as their keys allow, so that
/// few wait for their partner: about 300 bytes of memory each. A bucket that does not exist is a finding and counts as
/// empty. Throws what the store and `visit` throw.
void pair_up(const Place& place, Report& report, const std::function<void(Pair)>& visit);

}  // namespace bale::check
