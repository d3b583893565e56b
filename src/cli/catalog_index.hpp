// The local indexes of catalogs: where they are, and how they are kept.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog_table.hpp"
#include "catalog/index_sync.hpp"
#include "cli/catalog_places.hpp"

namespace bale::cli {

/// "s3://bucket" or "s3://bucket/prefix".
std::string catalog_uri(const recover::CatalogPlace& place);

/// The file of a catalog's index. Below --index DIR, else $XDG_CACHE_HOME/bale/catalogs, else ~/.cache/bale/catalogs:
/// its name has the bucket, for people, and a hash of which catalog on which service it is. Throws Error{invalid} where
/// there is no home directory.
os::fs::path index_path(Context& context, const QueryOptions& options, const recover::CatalogPlace& place);

/// Opens the index of a catalog; null where there is none and `make` is false. Its directory is made.
std::shared_ptr<catalog::CatalogDatabase> open_index(Context& context, const QueryOptions& options,
                                                     const recover::CatalogPlace& place, bool make);

/// Brings an index up to date, with progress. Warns of files with a date in the future, and where the index was of
/// another store.
catalog::SyncCounts sync_index(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                               const catalog::SyncOptions& options);

/// Brings the indexes of all catalogs that the options name up to date, making those that are missing. Damaged files
/// are not named: the search that follows does so, where they matter to it. Returns false, with a warning, when an
/// index cannot be used (it is damaged, the disk is full): the catalogs themselves have to be read.
bool sync_indexes(Context& context, const QueryOptions& options);

/// What became of asking catalogs again.
struct SyncedAgain {
  bool is_of_new_store = false;  ///< an index was of another store than the one that is there now
  bool needs_files = false;      ///< an index cannot be brought up to date: the catalogs themselves have to be read
  bool has_changed = false;      ///< an index has other rows than before
};
/// Brings those indexes up to date that are there. Warns of a catalog that cannot be asked.
SyncedAgain sync_known_indexes(Context& context, const QueryOptions& options);
/// What a command does before it says that something is in no backup: brings the local indexes that it used up to date.
/// Returns with which options to search again; nullopt if there is nothing newer than what was searched.
std::optional<QueryOptions> newer_than_indexes(Context& context, const QueryOptions& options);

/// Indexes that are asked together.
struct OpenIndexes {
  std::vector<std::shared_ptr<catalog::CatalogDatabase>> databases;  ///< not empty; the first has the rows of all
  /// exit_ok, or the status for what was named as a failure: exit_damaged (catalog files are damaged, a catalog is
  /// gone), exit_some_failed (catalog files cannot be read).
  int status = exit_ok;
  std::optional<TimePoint> synced;  ///< when the one that is out of date most was synced; absent where one never was
};
/// The indexes of all catalogs that the options name, each synced now where it was not there.
OpenIndexes open_indexes(Context& context, const QueryOptions& options);

/// Says on standard error how old an answer from the indexes is: what was backed up since is not in it. Nothing for
/// less than a second, for an age that open_indexes() warned of, and in text with --quiet.
void tell_age(Context& context, const OpenIndexes& indexes);

/// Returns how much memory a query that a person wrote may use: shares of --memory-limit.
sqlite::ForeignLimits query_limits(Context& context);

/// Names every file of an index that is damaged or cannot be read as a failure. Returns the exit status for that:
/// exit_ok, exit_damaged or exit_some_failed.
int tell_damaged_files(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index);
/// The graver of two of these statuses.
int worse_status(int a, int b);
/// Whether the index was synced with another store than the one that now has the catalog's name. Only of embedded
/// stores; of others, whom it would cost a request, false.
bool is_of_another_store(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index);
/// Warns of an index that does not have all: it was synced from a day on only, or long ago.
void warn_of_gaps(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index);

/// When the index was last synced; absent where it never was.
std::optional<TimePoint> synced_at(catalog::CatalogDatabase& index);

}  // namespace bale::cli
