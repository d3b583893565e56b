#include "cli/catalog_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "os/target.hpp"

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

/// One warning for each, as far as the sync kept them.
void tell_future_files(Context& context, const recover::CatalogPlace& place, const catalog::SyncCounts& counts) {
  for (const catalog::FutureFile& file : counts.future_files) {
    const std::string stored =
        file.stored == TimePoint{} ? "" : fmt::format(", though it was stored at {}", to_iso8601(file.stored));
    emit_warning(
        context,
        fmt::format("{} is dated {}, which is in the future{}: the clock of the machine that packed the archive "
                    "is wrong, or this machine's ({}); its rows are in the index",
                    escape_name(to_uri(place.bucket, file.key)), file.day, stored,
                    to_iso8601(context.world().clock.now())));
  }
  const std::uint64_t more = counts.files_in_future - counts.future_files.size();
  if (more > 0)
    emit_warning(context, fmt::format("{} more of {} are dated in the future", format_count(more, "catalog file"),
                                      catalog_uri(place)));
}

/// Whether the error is about the index's own file or directory, and not about the catalog.
bool is_of_index(const Error& error, const os::fs::path& index) {
  return error.where().starts_with(index.parent_path().native());
}

/// Makes what is missing for its owner alone: an index lists the names of all objects.
void prepare_index(os::Files& files, const os::fs::path& path) {
  files.make_private_directories(path.parent_path());
  try {
    const auto found = files.info_followed(path);
    if (!found) files.create_private(path);  // SQLite gives its other files the same permissions
    if (found && (found->mode & 077) != 0) files.set_mode(path, 0600);
  } catch (const Error& error) {
    const bool by_another = error.kind() == ErrorKind::precondition || error.kind() == ErrorKind::denied;
    if (!by_another) throw;
  }
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
  if (make) prepare_index(context.world().files, path);
  return std::make_shared<catalog::CatalogDatabase>(path, identity_of(context, place));
}

namespace {

/// Returns the Error with which a sync ends when the index cannot be written any more.
Error ended_sync(const Error& error, catalog::CatalogDatabase& index) {
  return error
      .with_summary(fmt::format("{}; the index has {}, the others are left to do", error.summary(),
                                format_count(index.file().count_files(), "catalog file")))
      .with_hint(
          "free some space, or name another place with --index; then run the command again: it goes on from "
          "there");
}

}  // namespace

catalog::SyncCounts sync_index(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                               const catalog::SyncOptions& options) {
  catalog::SyncCounts counts;
  {
    flow::Progress progress;
    const ProgressPrinter printer(context, progress, "reading the catalog");
    const catalog::SyncPlace from{*place.store, place.bucket, place.prefix,
                                  catalog::store_identity(*place.store, place.bucket)};
    // What is damaged is in the index: it is told when it matters.
    try {
      counts = catalog::sync_index(index.file(), from, options, context.world(), context.pools(), context.budget(),
                                   progress, [](const catalog::DamagedFile&) {});
    } catch (const Error& error) {
      if (!os::is_of_whole_target(error)) throw;
      throw ended_sync(error, index);
    }
  }
  if (counts.is_of_new_store) {
    emit_warning(context, fmt::format("the local index of {} was of a store that was here before: it was made anew",
                                      catalog_uri(place)));
  }
  tell_future_files(context, place, counts);
  if (index.file().count_files() == 0)
    emit_warning(context,
                 fmt::format("there is no catalog file in {}{}: nothing was backed up there yet, or the "
                             "catalog is elsewhere",
                             catalog_uri(place), options.since ? " of " + to_date(*options.since) + " or later" : ""));
  return counts;
}

int tell_damaged_files(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index) {
  int status = exit_ok;
  for (const catalog::IndexedFile& file : index.file().damaged_files()) {
    const bool is_denied = file.damage_kind == ErrorKind::denied;
    const Error error(
        file.damage_kind, file.damage, to_uri(place.bucket, file.key),
        is_denied ? "let this user read the object, and bring it back where it is in GLACIER or DEEP_ARCHIVE; "
                    "then sync again"
        : is_transient(file.damage_kind) ? "sync again: the service fails to give the file, and may give it later"
                                         : "`bale check --repair-catalog` makes it anew from its archive");
    const bool is_damaged = is_lost(error);
    emit_failure(context, is_damaged ? "rows of a damaged catalog file are left out" : "a catalog file is left out",
                 error);
    status = worse_status(status, is_damaged ? exit_damaged : exit_some_failed);
  }
  return status;
}

int worse_status(int a, int b) { return std::max(a, b); }

bool is_of_another_store(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index) {
  if (context.options().local.empty()) return false;
  const std::string synced = index.file().note(catalog::note_store);
  const std::string now = synced.empty() ? std::string() : catalog::store_identity(*place.store, place.bucket);
  return !now.empty() && now != synced;
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
  if (age < -old_index) {
    emit_warning(context,
                 fmt::format("the local index of {} was synced at {}, which is in the future: this machine's clock was "
                             "or is wrong, and how old the index is is not known; `bale catalog sync` brings it up to "
                             "date",
                             place.bucket.str(), to_iso8601(*synced)));
  }
  if (age < old_index) return;
  emit_warning(context, fmt::format("the local index of {} is {} old: `bale catalog sync` brings it up to date",
                                    place.bucket.str(), format_duration(age)));
}

bool sync_indexes(Context& context, const QueryOptions& options) {
  for (const recover::CatalogPlace& place : named_catalogs(context, options)) {
    const os::fs::path path = index_path(context, options, place);
    try {
      sync_index(context, place, *open_index(context, options, place, /*make=*/true), {});
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled || !is_of_index(error, path)) throw;
      emit_warning(context, fmt::format("the local index cannot be used, and the catalog itself is read: {}; `bale "
                                        "catalog sync --rebuild` makes it anew",
                                        error.what()));
      return false;
    }
  }
  return true;
}

SyncedAgain sync_known_indexes(Context& context, const QueryOptions& options) {
  SyncedAgain again;
  for (const recover::CatalogPlace& place : named_catalogs(context, options)) {
    try {
      const auto index = open_index(context, options, place, /*make=*/false);
      if (!index) continue;
      // An index of some days only stays one: what is newer than it is asked for.
      const std::string since = index->file().note(catalog::note_since);
      catalog::SyncOptions what;
      if (!since.empty()) what.since = parse_time(since);
      const catalog::SyncCounts counts = sync_index(context, place, *index, what);
      again.is_of_new_store |= counts.is_of_new_store;
      again.has_changed |= counts.is_of_new_store || counts.files_added + counts.files_changed + counts.files_gone > 0;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      if (is_of_index(error, index_path(context, options, place)))
        again.needs_files = true;
      else
        emit_warning(context, fmt::format("{} cannot be asked again: {}", catalog_uri(place), error.what()));
    }
  }
  return again;
}

std::optional<QueryOptions> newer_than_indexes(Context& context, const QueryOptions& options) {
  if (options.no_index) return std::nullopt;
  const SyncedAgain again = sync_known_indexes(context, options);
  if (!again.needs_files && !again.has_changed) return std::nullopt;
  QueryOptions where = options;
  where.no_index = again.needs_files;
  return where;
}

OpenIndexes open_indexes(Context& context, const QueryOptions& options) {
  OpenIndexes indexes;
  std::size_t gone = 0;
  const std::vector<recover::CatalogPlace> places = named_catalogs(context, options);
  for (const recover::CatalogPlace& place : places) {
    auto index = open_index(context, options, place, /*make=*/true);
    try {
      if (!synced_at(*index) || is_of_another_store(context, place, *index)) sync_index(context, place, *index, {});
    } catch (const Error& error) {
      // The catalog of one region is gone: those of the others have what they have.
      if (error.code() != "NoSuchBucket" || ++gone == places.size()) throw;
      emit_failure(context, "left out: " + catalog_uri(place), error);
      indexes.status = exit_damaged;
    }
    warn_of_gaps(context, place, *index);
    const auto synced = synced_at(*index);
    if (indexes.databases.empty() || !synced || (indexes.synced && *synced < *indexes.synced)) indexes.synced = synced;
    indexes.status = worse_status(indexes.status, tell_damaged_files(context, place, *index));
    indexes.databases.push_back(std::move(index));
  }
  for (std::size_t i = 1; i < indexes.databases.size(); ++i)
    indexes.databases.front()->add(indexes.databases[i]->file());
  return indexes;
}

void tell_age(Context& context, const OpenIndexes& indexes) {
  if (!indexes.synced) return;
  const Milliseconds age = context.world().clock.now() - *indexes.synced;
  if (age < std::chrono::seconds(1) || age >= old_index) return;
  os::Terminal& terminal = context.world().terminal;
  if (context.json()) {
    const nlohmann::ordered_json line = {
        {"type", "index"}, {"synced", to_iso8601(*indexes.synced)}, {"age_ms", age.count()}};
    return terminal.err(line.dump() + "\n");
  }
  if (context.options().quiet) return;
  terminal.err(
      fmt::format("from the local index of {} ago: `bale catalog sync` reads what is newer\n", format_duration(age)));
}

sqlite::ForeignLimits query_limits(Context& context) {
  // A value is in memory several times while a line of JSON is made of it, with up to six bytes for one.
  constexpr ByteCount least_value = 4 << 20, most_value = 1'000'000'000;
  const ByteCount value = std::clamp(context.memory_limit() / 32, least_value, most_value);
  return {static_cast<std::int64_t>(context.memory_limit() / 2), static_cast<std::int64_t>(value)};
}

std::optional<TimePoint> synced_at(catalog::CatalogDatabase& index) {
  return index.file().time_note(catalog::note_synced);
}

}  // namespace bale::cli
