#include "cli/catalog_index.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// From here on, backups that the index does not know of are likely enough to be spoken of.
constexpr std::chrono::hours old_index{1};

/// Which catalog it is, wherever this program runs.
std::string identity_of(Context& context, const recover::CatalogPlace& place) {
  return context.store_service(context.region()) + " " + catalog_uri(place);
}

os::fs::path index_directory(Context& context, const QueryOptions& options) {
  if (!options.index_directory.empty()) return options.index_directory;
  const os::Environment& environment = context.world().environment;
  const auto cache = environment.get("XDG_CACHE_HOME");
  if (cache && cache->starts_with('/')) return os::fs::path(*cache) / "bale" / "catalogs";
  const auto home = environment.get("HOME");
  if (home && home->starts_with('/')) return os::fs::path(*home) / ".cache" / "bale" / "catalogs";
  throw Error(ErrorKind::invalid,
              "there is no place for the local catalog index: neither XDG_CACHE_HOME nor HOME is set", {},
              "name a directory with --index DIR");
}

}  // namespace

std::string catalog_uri(const recover::CatalogPlace& place) {
  return place.prefix.empty() ? "s3://" + place.bucket.str() : to_uri(place.bucket, ObjectKey(place.prefix));
}

os::fs::path index_path(Context& context, const QueryOptions& options, const recover::CatalogPlace& place) {
  return index_directory(context, options) /
         fmt::format("{}-{:016x}.sqlite", place.bucket.str(), xxh64(as_bytes(identity_of(context, place))));
}

std::shared_ptr<catalog::CatalogDatabase> open_index(Context& context, const QueryOptions& options,
                                                     const recover::CatalogPlace& place, bool make) {
  const os::fs::path path = index_path(context, options, place);
  if (!make && !context.world().files.info_followed(path)) return nullptr;
  if (make) context.world().files.make_directories(path.parent_path());
  return std::make_shared<catalog::CatalogDatabase>(path, identity_of(context, place));
}

catalog::SyncCounts sync_index(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                               const catalog::SyncOptions& options) {
  flow::Progress progress;
  const ProgressPrinter printer(context, progress, "reading the catalog");
  const catalog::SyncPlace from{*place.store, place.bucket, place.prefix};
  // What is damaged is in the index: it is told when it matters.
  return catalog::sync_index(index.file(), from, options, context.world(), context.pools(), context.budget(), progress,
                             [](const catalog::DamagedFile&) {});
}

std::size_t tell_damaged_files(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index) {
  const std::vector<catalog::IndexedFile> damaged = index.file().damaged_files();
  for (const catalog::IndexedFile& file : damaged) {
    emit_failure(context, "rows of a damaged catalog file are left out",
                 Error(ErrorKind::corrupt, file.damage, to_uri(place.bucket, file.key),
                       "`bale check --repair-catalog` makes it anew from its archive"));
  }
  return damaged.size();
}

void warn_of_gaps(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index) {
  const std::string since = index.file().note(catalog::note_since);
  if (!since.empty()) {
    emit_warning(context,
                 fmt::format("the local index of {} has backups of {} and later only: `bale catalog sync` reads "
                             "the others",
                             place.bucket.str(), since));
  }
  const auto synced = synced_at(index);
  const Milliseconds age = synced ? context.world().clock.now() - *synced : Milliseconds(0);
  if (age < old_index) return;
  emit_warning(context, fmt::format("the local index of {} is {} old: `bale catalog sync` brings it up to date",
                                    place.bucket.str(), format_duration(age)));
}

void sync_indexes(Context& context, const QueryOptions& options) {
  for (const recover::CatalogPlace& place : named_catalogs(context, options))
    sync_index(context, place, *open_index(context, options, place, /*make=*/true), {});
}

OpenIndexes open_indexes(Context& context, const QueryOptions& options) {
  OpenIndexes indexes;
  std::size_t gone = 0;
  const std::vector<recover::CatalogPlace> places = named_catalogs(context, options);
  for (const recover::CatalogPlace& place : places) {
    auto index = open_index(context, options, place, /*make=*/true);
    try {
      if (!synced_at(*index)) sync_index(context, place, *index, {});
    } catch (const Error& error) {
      // The catalog of one region is gone: those of the others have what they have.
      if (error.code() != "NoSuchBucket" || ++gone == places.size()) throw;
      emit_failure(context, "left out: " + catalog_uri(place), error);
      indexes.is_incomplete = true;
    }
    warn_of_gaps(context, place, *index);
    if (tell_damaged_files(context, place, *index) > 0) indexes.is_incomplete = true;
    indexes.databases.push_back(std::move(index));
  }
  for (std::size_t i = 1; i < indexes.databases.size(); ++i)
    indexes.databases.front()->add(indexes.databases[i]->file());
  return indexes;
}

std::optional<TimePoint> synced_at(catalog::CatalogDatabase& index) {
  const std::string at = index.file().note(catalog::note_synced);
  return at.empty() ? std::nullopt : std::optional(from_epoch_ms(std::stoll(at)));
}

}  // namespace bale::cli
