// A query in, catalog records out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "catalog/archive_buckets.hpp"
#include "catalog/catalog_table.hpp"
#include "catalog/record_list.hpp"
#include "catalog/scan.hpp"
#include "jobs/recover/key_regex.hpp"

namespace bale::recover {

/// Objects by source bucket and key.
using ObjectSet = std::set<std::pair<std::string, std::string>, std::less<>>;

/// Which records are wanted: all conditions must hold; empty ones do not apply.
struct Query {
  std::vector<std::string> paths;  ///< full keys; one of them must be the record's
  /// Patterns of wildcard_match() over the full key; one of them must match. A key that is spelled exactly as a pattern
  /// matches it too, and where there is one, a search gives no other key for this pattern; but for `*`.
  std::vector<std::string> patterns;
  std::string contains;                      ///< somewhere in the full key
  std::shared_ptr<const KeyRegex> regex;     ///< somewhere in the full key
  BucketName bucket;                         ///< source bucket
  std::string prefix;                        ///< of the full key
  std::shared_ptr<const ObjectSet> objects;  ///< only these
  std::optional<TimePoint> since;            ///< object modified at or after
  std::optional<TimePoint> until;            ///< object modified before
  std::optional<TimePoint> as_of;            ///< the state at this time: what happened later does not count
  /// The present time. For as_of, a record that is dated later than now (the source's clock was ahead) counts from its
  /// backup on: what was backed up had happened. Absent: dates are believed.
  std::optional<TimePoint> now;
  std::optional<ByteCount> min_size, max_size;  ///< bytes of the object, both included
  bool all_versions = false;                    ///< else only the newest record of each key
  bool with_deleted = false;                    ///< also keys whose newest record is a deletion
  ByteCount most_memory = ~ByteCount{0};        ///< of records that are held at once: to find more is Error{invalid}
};

/// Whether a record meets the conditions that look at it alone.
bool matches(const Query& query, const catalog::Record& record);

/// Whether `a` tells of a later state of its key than `b`. The source's own order decides (SourceOrder). When it leaves
/// them equal, an event's record is later than one without a sequencer (of a backfill: the object was there before the
/// events); only between records that are equal in this too the time of the backup decides, which is of a packer's
/// clock. Of more than two records, sort_newest_first() tells the newest.
bool is_newer(const catalog::Record& a, const catalog::Record& b);

/// Sorts the records of one key, newest first, as catalog::newest_first() has it.
void sort_newest_first(std::vector<catalog::Record>& versions);

/// Adds a record to those of its key that may turn out to be the newest (at most two, the newest first), and drops
/// what it makes needless. A record of a copy of the same archive adds its places: add_places().
void add_contender(std::vector<catalog::Record>& contenders, catalog::Record record);

/// Where `other` speaks of the same object in a copy of the same archive, elsewhere (another region has a catalog of
/// its own), its buckets become places of `record` too.
void add_places(catalog::Record& record, const catalog::Record& other);

/// Collects matching records. Without all_versions it holds about one record a key, however many come.
class Selection {
 public:
  explicit Selection(Query query) : query_(std::move(query)) {}
  /// Throws Error{invalid} where Query::most_memory does not suffice.
  void add(const catalog::Record& record);
  /// By source bucket, key, newest first; deletions that are left out go to `deletions`. Leaves the selection empty.
  catalog::RecordList take(catalog::RecordList& deletions);
  /// By source bucket, key, newest first: all records of which one may be the newest when records of other catalogs
  /// come, deletions too. Leaves the selection empty.
  catalog::RecordList take_contenders();

 private:
  std::vector<catalog::Record> versions_of(const std::vector<std::size_t>& indices) const;
  void add_to_contenders(std::vector<std::size_t>& versions, const catalog::Record& record);
  void forget_replaced();
  const Query query_;
  catalog::RecordList records_;
  /// By source bucket and key: indices into records_. Those that are in no list were replaced by newer ones.
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> found_;
};

/// A catalog to be searched.
struct CatalogPlace {
  store::ObjectStore* store;  ///< borrowed
  BucketName bucket;
  std::string prefix;                               ///< within the bucket
  std::vector<BucketName> backup_buckets;           ///< where its archives may be; known with a configuration only
  std::shared_ptr<catalog::CatalogDatabase> index;  ///< its local index; null: its files are read
  catalog::ArchiveBuckets allowed{};                ///< where archives may be read in the place of a damaged file
};

/// Whether rows that a damaged catalog file has lost could have been wanted. Said of a file's key alone, so only a
/// query of one bucket rules files out.
bool could_hold_matches(const Query& query, const ObjectKey& catalog_file);

/// What a search does about a damaged catalog file.
enum class OnDamage {
  tell,          ///< its sound rows count; what it lost is not found
  read_archive,  ///< the archive's own manifest stands in for the file, so that nothing is left out
};

/// A catalog file that is damaged or cannot be read, and could hold matching rows; or a catalog whose bucket is gone.
struct CatalogDamage {
  Error error;  ///< corrupt, or why it cannot be read; names the file, its archive, and why that was not read instead
  std::optional<ObjectAddress> replaced_by;  ///< the archive that stood in: nothing is missing
};

/// What a search found, besides records.
struct SearchNotes {
  std::vector<CatalogDamage> damage;
  /// Why local indexes could not be used (damaged, not readable): the files of their catalogs were read instead.
  std::vector<Error> unusable_indexes;
  /// Patterns that are the very name of an object, for which others that match were left out.
  std::set<std::string> exact_names;
};

/// Searches the catalogs (the files of each in parallel, or its index), and calls `visit` with what was found, by
/// source bucket, key, newest first, until it returns false; `left_out` with each deletion for
/// which a key is left out. An index that fails before the first call of `visit` is done without; it reads all that it
/// needs before that. With indexes alone, memory does not depend on how much is found. Throws what the stores throw;
/// invalid where Query::most_memory does not suffice; cancelled on `stop`.
SearchNotes search_each(
    const std::vector<CatalogPlace>& catalogs, const Query& query, flow::ThreadPool& connections, OnDamage on_damage,
    const std::stop_token& stop, const std::function<bool(const catalog::Record&)>& visit,
    const std::function<void(const catalog::Record&)>& left_out = [](const catalog::Record&) {});

struct SearchResult {
  catalog::RecordList records;    ///< by source bucket, key, newest first
  catalog::RecordList deletions;  ///< keys that are left out because their newest record is a deletion
  std::vector<CatalogDamage> damage;
  std::vector<Error> unusable_indexes;  ///< as SearchNotes has it
  std::set<std::string> exact_names;    ///< as SearchNotes has it
};

/// All that search_each() finds.
SearchResult search(const std::vector<CatalogPlace>& catalogs, const Query& query, flow::ThreadPool& connections,
                    OnDamage on_damage, const std::stop_token& stop = {});

}  // namespace bale::recover
