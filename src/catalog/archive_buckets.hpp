// Which buckets the archives of a catalog may be read from.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "catalog/record.hpp"

namespace bale::catalog {

/// The backup buckets that a configuration, or a person, allows the rows of a catalog to name. A value made by default
/// allows every bucket: it is for a catalog that a person named without a configuration. Adding a bucket limits it to
/// what was added. Const calls are thread-safe.
class ArchiveBuckets {
 public:
  /// Adds a source bucket of the configuration: its rows may name its own backup buckets alone.
  void add_source(const BucketName& source);
  /// Adds a backup destination of `source`.
  void add_backup(const BucketName& source, const BucketName& backup);
  /// Adds a bucket that rows of every source may name.
  void add(const BucketName& bucket);

  /// Whether rows of `source` may name `bucket`. Rows of a source that was not added may name every backup bucket.
  bool allows(const BucketName& source, const BucketName& bucket) const;
  /// Whether some row may name `bucket`.
  bool allows(const BucketName& bucket) const;
  /// Returns archive_places() without the places that the row may not name: other buckets and, with a configuration,
  /// keys that are not those of an archive of the row's source.
  std::vector<ObjectAddress> places_of(const Record& record) const;
  /// Returns the reason for which a row that names places may name none of them: Error{denied}. Nothing for other rows.
  std::optional<Error> refusal_of(const Record& record) const;
  /// Leaves a row the buckets of places_of() alone: none where refusal_of() refuses it.
  void restrict(Record& record) const;

 private:
  bool has_own_key(const Record& record, const ObjectKey& key) const;

  bool is_limited_ = false;
  std::map<BucketName, std::set<BucketName>> backups_of_;  ///< by source
  std::set<BucketName> backups_;                           ///< of all sources
  std::set<BucketName> by_hand_;
};

}  // namespace bale::catalog
