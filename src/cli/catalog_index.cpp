#include "cli/catalog_index.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// Which service a bucket's name is one of: names are distinct within one.
std::string service_of(Context& context) {
  const GlobalOptions& options = context.options();
  if (!options.local.empty()) return "file://" + os::fs::absolute(options.local).lexically_normal().native();
  if (!options.endpoint_url.empty()) return options.endpoint_url;
  for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    if (const auto url = context.world().environment.get(name); url && !url->empty()) return *url;
  }
  return "aws " + options.profile;  // a profile may have an endpoint of its own
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
  const std::string identity = service_of(context) + " " + catalog_uri(place);
  return index_directory(context, options) /
         fmt::format("{}-{:016x}.sqlite", place.bucket.str(), xxh64(as_bytes(identity)));
}

std::shared_ptr<catalog::CatalogDatabase> open_index(Context& context, const QueryOptions& options,
                                                     const recover::CatalogPlace& place, bool make) {
  const os::fs::path path = index_path(context, options, place);
  if (!make && !context.world().files.info_followed(path)) return nullptr;
  if (make) context.world().files.make_directories(path.parent_path());
  return std::make_shared<catalog::CatalogDatabase>(path, service_of(context) + " " + catalog_uri(place));
}

namespace {

catalog::SyncCounts sync_and_tell(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                                  const catalog::SyncOptions& options,
                                  const std::function<void(const catalog::DamagedFile&)>& damaged) {
  flow::Progress progress;
  const ProgressPrinter printer(context, progress, "reading the catalog");
  const catalog::SyncPlace from{*place.store, place.bucket, place.prefix};
  return catalog::sync_index(index.file(), from, options, context.world(), context.pools(), context.budget(), progress,
                             damaged);
}

}  // namespace

catalog::SyncCounts sync_index(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                               const catalog::SyncOptions& options) {
  return sync_and_tell(context, place, index, options, [&](const catalog::DamagedFile& file) {
    emit_failure(context, "rows of a damaged catalog file are left out", file.error);
  });
}

void sync_indexes(Context& context, const QueryOptions& options) {
  for (const recover::CatalogPlace& place : named_catalogs(context, options)) {
    const auto index = open_index(context, options, place, /*make=*/true);
    sync_and_tell(context, place, *index, {}, [](const catalog::DamagedFile&) {});
  }
}

std::vector<std::shared_ptr<catalog::CatalogDatabase>> open_indexes(Context& context, const QueryOptions& options) {
  std::vector<std::shared_ptr<catalog::CatalogDatabase>> indexes;
  for (const recover::CatalogPlace& place : named_catalogs(context, options)) {
    indexes.push_back(open_index(context, options, place, /*make=*/true));
    if (!synced_at(*indexes.back())) sync_index(context, place, *indexes.back(), {});
  }
  return indexes;
}

std::optional<TimePoint> synced_at(catalog::CatalogDatabase& index) {
  const std::string at = index.file().note(catalog::note_synced);
  return at.empty() ? std::nullopt : std::optional(from_epoch_ms(std::stoll(at)));
}

}  // namespace bale::cli
