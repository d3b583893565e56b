// bale catalog sync
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_commands.hpp"
#include "cli/catalog_index.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "os/target.hpp"

namespace bale::cli {
namespace {

struct SyncCommandOptions {
  QueryOptions where;
  std::string since;
  bool full = false, rebuild = false;
};

void remove_index(os::Files& files, const os::fs::path& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    os::fs::path file = path;
    file += suffix;
    if (files.info(file)) files.remove(file);
  }
}

void print_synced(Context& context, const recover::CatalogPlace& place, catalog::CatalogDatabase& index,
                  const catalog::SyncCounts& counts, Milliseconds elapsed) {
  const std::string source = catalog_uri(place);
  const std::uint64_t rows = index.file().count_rows();
  const std::string gone = counts.files_gone == 0 ? "" : fmt::format(", {} gone", format_count(counts.files_gone));
  const std::string changed =
      counts.files_changed == 0 ? "" : fmt::format(", {} changed", format_count(counts.files_changed));
  std::string damaged =
      counts.files_damaged == 0 ? "" : fmt::format(", {} of them damaged", format_count(counts.files_damaged));
  if (counts.files_unreadable > 0)
    damaged += fmt::format(", {} of them not readable", format_count(counts.files_unreadable));
  nlohmann::ordered_json line{{"type", "synced"},
                              {"catalog", source},
                              {"index", index.file().path().native()},
                              {"files_added", counts.files_added},
                              {"files_changed", counts.files_changed},
                              {"files_gone", counts.files_gone},
                              {"files_known", counts.files_known},
                              {"files_damaged", counts.files_damaged},
                              {"rows_added", counts.rows_added},
                              {"bytes", counts.bytes},
                              {"rows", rows},
                              {"milliseconds", elapsed.count()}};
  if (counts.files_unreadable > 0) line["files_unreadable"] = counts.files_unreadable;
  if (counts.files_in_future > 0) line["files_in_future"] = counts.files_in_future;
  if (counts.is_of_new_store) line["new_store"] = true;
  emit(context, line,
       fmt::format("{}: {} added{}{}{} ({}, {} read); {} in the index, {}", source,
                   format_count(counts.files_added, "file"), damaged, changed, gone,
                   format_count(counts.rows_added, "row"), format_bytes(counts.bytes), format_count(rows, "row"),
                   format_duration(elapsed)));
}

void print_planned(Context& context, const recover::CatalogPlace& place, const os::fs::path& path, bool rebuild) {
  const std::string source = catalog_uri(place);
  emit(context, {{"type", "dryrun"}, {"catalog", source}, {"index", path.native()}, {"rebuild", rebuild}},
       fmt::format("(dryrun) {}: the index {} would be {}", source, escape_name(path.native()),
                   rebuild ? "removed, and made anew" : "brought up to date"));
}

/// Returns the exit status.
int sync_one(Context& context, const SyncCommandOptions& options, const catalog::SyncOptions& sync_options,
             const recover::CatalogPlace& place) {
  // Before catalog files are read that cannot be kept.
  os::try_target(context.world().files, index_path(context, options.where, place).parent_path());
  if (options.rebuild) remove_index(context.world().files, index_path(context, options.where, place));
  const auto index = open_index(context, options.where, place, /*make=*/true);
  const auto started = context.world().clock.steady();
  const catalog::SyncCounts counts = sync_index(context, place, *index, sync_options);
  print_synced(context, place, *index, counts,
               std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started));
  const bool is_empty = index->file().count_files() == 0;  // sync_index() has said so
  return worse_status(is_empty ? exit_some_failed : exit_ok, tell_damaged_files(context, place, *index));
}

int sync(Context& context, const SyncCommandOptions& options) {
  context.break_off_on_stop();
  catalog::SyncOptions sync_options;
  sync_options.since = time_option(options.since, "--since");
  sync_options.full = options.full || options.rebuild;
  int status = exit_ok;
  std::size_t gone = 0;
  const std::vector<recover::CatalogPlace> places = named_catalogs(context, options.where);
  for (const recover::CatalogPlace& place : places) {
    if (context.options().dryrun) {
      print_planned(context, place, index_path(context, options.where, place), options.rebuild);
      continue;
    }
    try {
      status = worse_status(status, sync_one(context, options, sync_options, place));
    } catch (const Error& error) {
      // The catalog of one region is gone: those of the others are synced.
      if (error.code() != "NoSuchBucket" || ++gone == places.size()) throw;
      emit_failure(context, "not synced: " + catalog_uri(place), error);
    }
  }
  return gone > 0 ? exit_damaged : status;
}

}  // namespace

void add_catalog_sync_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand(
      "sync", "Bring the local index of a catalog up to date, for fast search, sql, stats and restore");
  const auto options = std::make_shared<SyncCommandOptions>();
  add_catalog_options(*command, options->where);
  command->add_option("--since", options->since, "only backups of this day and later")
      ->type_name("TIME")
      ->check(refuse_empty);
  command->add_flag("--full", options->full, "list all days, also those that are closed (done once a day by itself)");
  command->add_flag("--rebuild", options->rebuild, "remove the index first, and make it anew");
  command->callback([&action, options] { action = [options](Context& context) { return sync(context, *options); }; });
}

}  // namespace bale::cli
