// The local indexes of catalogs: where they are, and how they are kept.
#pragma once

#include <memory>
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

/// Brings an index up to date, with progress.
catalog::SyncCounts sync_index(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                               const catalog::SyncOptions& options);

/// Brings the indexes of all catalogs that the options name up to date, making those that are missing. Damaged files
/// are not named: the search that follows does so, where they matter to it.
void sync_indexes(Context& context, const QueryOptions& options);

/// Indexes that are asked together.
struct OpenIndexes {
  std::vector<std::shared_ptr<catalog::CatalogDatabase>> databases;  ///< not empty; the first has the rows of all
  bool is_incomplete = false;  ///< catalog files are damaged, or a catalog is gone; each was named as a failure
};
/// The indexes of all catalogs that the options name, each synced now where it was not there.
OpenIndexes open_indexes(Context& context, const QueryOptions& options);

/// Names every damaged file of an index as a failure. Returns how many there are.
std::size_t tell_damaged_files(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index);
/// Warns of an index that does not have all: it was synced from a day on only, or long ago.
void warn_of_gaps(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index);

/// When the index was last synced; absent where it never was.
std::optional<TimePoint> synced_at(catalog::CatalogDatabase& index);

}  // namespace bale::cli
