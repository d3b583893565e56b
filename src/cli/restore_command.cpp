// bale restore
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wildcards.hpp"
#include "cli/catalog_index.hpp"
#include "cli/catalog_places.hpp"
#include "cli/commands.hpp"
#include "cli/name_changes.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "cli/restore_query.hpp"
#include "flow/progress.hpp"
#include "jobs/recover/restore_again.hpp"
#include "os/target.hpp"

namespace bale::cli {
namespace {

struct RestoreCommandOptions {
  QueryOptions where;
  std::vector<std::string> paths;
  std::string to;
  std::string storage_class;
  bool without_tags = false;
  bool without_metadata = false;
  std::string as_of;
  std::string sql;
  recover::ArchiveRequest archives;
  bool no_wait = false;
  bool overwrite = false;
  bool prefix_given = false;  ///< --prefix was there, though it may be empty: everything
};

/// Whether a name on the command line can mean one key only.
bool is_plain(const std::string& name) { return !has_wildcards(name) && without_escapes(name) == name; }

recover::Query query_of(const RestoreCommandOptions& options) {
  if (options.paths.empty() && !options.prefix_given && options.sql.empty()) {
    throw Error(ErrorKind::invalid, "nothing to restore was named", {},
                "give paths, patterns ('*' restores everything), --prefix P, or --query SQL");
  }
  if (!options.sql.empty() && !options.paths.empty())
    throw Error(ErrorKind::invalid, "both paths and --query were given", {}, "give one of them");
  recover::Query query = base_query(options.where);
  query.as_of = time_option(options.as_of, "--as-of");
  for (const std::string& path : options.paths) {
    (is_plain(path) ? query.paths : query.patterns).push_back(path);
  }
  return query;
}

recover::RestoreTarget target_of(Context& context, const RestoreCommandOptions& options) {
  recover::RestoreTarget target;
  target.storage_class = options.storage_class;
  target.with_tags = !options.without_tags;
  target.with_metadata = !options.without_metadata;
  if (!is_s3_uri(options.to)) {
    target.directory = os::open_tree_root(context.world().files, options.to);
    return target;
  }
  const ObjectAddress place = parse_s3_uri(options.to);
  target.bucket = place.bucket;
  target.prefix = place.key.str();
  if (!target.prefix.empty() && !target.prefix.ends_with('/')) target.prefix += '/';
  return target;
}

/// Keys of different buckets would meet under one name.
void check_one_source(const catalog::RecordList& records) {
  if (records.empty()) return;
  // They are in the order of their buckets.
  if (records[0].source_bucket == records[records.size() - 1].source_bucket) return;
  std::set<std::string> buckets;
  for (std::size_t i = 0; i < records.size(); ++i) buckets.insert(records[i].source_bucket.str());
  throw Error(ErrorKind::invalid,
              fmt::format("the objects are of {} source buckets ({}, {}, ...)", buckets.size(), *buckets.begin(),
                          *std::next(buckets.begin())),
              {}, "choose one with --bucket NAME");
}

Error missing_error(const std::string& path, const recover::Query& query, const recover::SearchResult& found) {
  for (std::size_t i = 0; i < found.deletions.size(); ++i) {
    if (found.deletions.object_path(i) != path && found.deletions.object_path(i) != without_escapes(path)) continue;
    const std::string time = to_iso8601(found.deletions.last_modified(i));
    return Error(ErrorKind::not_found, "its deletion was recorded at " + time, {},
                 fmt::format("`--until {}`{} restores the version before, where a backup has one", time,
                             query.as_of ? " in the place of --as-of" : ""));
  }
  const std::string what = may_be_incomplete(found.damage) ? "no catalog row that can be read has this object"
                           : query.as_of ? "no backup has this object as of " + to_iso8601(*query.as_of)
                                         : "no backup has this object";
  return Error(ErrorKind::not_found, what, {}, "`bale catalog search` shows what there is");
}

/// Returns the names that were asked for and are in no backup, or whose deletion is the newest that is known.
std::vector<std::string> missing_names(const RestoreCommandOptions& options, const recover::SearchResult& found) {
  std::set<std::string_view> there;
  for (std::size_t i = 0; i < found.records.size() && !options.paths.empty(); ++i)
    there.insert(found.records.object_path(i));
  std::vector<std::string> missing;
  for (const std::string& path : options.paths) {
    if (!has_wildcards(path) && !there.contains(path) && !there.contains(without_escapes(path)))
      missing.push_back(path);
  }
  return missing;
}

/// Returns how many names are missing; each was told.
std::size_t report_missing(Context& context, const RestoreCommandOptions& options, const recover::Query& query,
                           const recover::SearchResult& found) {
  const std::vector<std::string> missing = missing_names(options, found);
  for (const std::string& path : missing)
    emit_failure(context, "restore failed: " + escape_name(path), missing_error(path, query, found));
  return missing.size();
}

/// How many of the deletions were not asked for by name: those that were are missing.
std::uint64_t count_by_pattern(const recover::Query& query, const catalog::RecordList& deletions) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < deletions.size(); ++i) {
    const bool by_name =
        std::find(query.paths.begin(), query.paths.end(), deletions.object_path(i)) != query.paths.end();
    count += by_name ? 0 : 1;
  }
  return count;
}

struct Totals {
  std::uint64_t restored = 0, same = 0, waiting = 0, failed = 0, unverified = 0, missing = 0, deleted = 0;
  ByteCount bytes = 0;
  recover::RestoreResult read;
  std::set<ErrorKind> failures;
};

/// The type of a line of JSON.
const char* word_of(recover::RestoreFate fate) {
  if (fate == recover::RestoreFate::same) return "same";
  return fate == recover::RestoreFate::waiting ? "waiting" : "restored";
}

void count(const recover::RestoredObject& object, Totals& totals) {
  switch (object.fate) {
    case recover::RestoreFate::same: ++totals.same; break;
    case recover::RestoreFate::waiting: ++totals.waiting; break;
    case recover::RestoreFate::failed:
      ++totals.failed;
      totals.failures.insert(object.error->kind());
      break;
    case recover::RestoreFate::restored:
      ++totals.restored;
      totals.bytes += object.record->object_size.value_or(0);
      if (object.record->sha256.empty()) ++totals.unverified;
      break;
  }
}

void report(Context& context, const recover::RestoredObject& object, Totals& totals, NameChanges& names) {
  const catalog::Record& record = *object.record;
  const std::string source = to_uri(record.source_bucket, record.object_path);
  count(object, totals);
  names.tell(source, object.destination, object.name_change);
  if (object.fate == recover::RestoreFate::failed)
    return emit_failure(context, "restore failed: " + escape_name(source), *object.error);
  const bool restored = object.fate == recover::RestoreFate::restored;
  const std::string text =
      fmt::format("{}{}: {} to {}{}", context.options().dryrun ? "(dryrun) " : "",
                  restored ? "restore" : word_of(object.fate), escape_name(source), escape_name(object.destination),
                  restored ? fmt::format(" ({} of {})", format_size(record.object_size), record.backup_file) : "");
  nlohmann::ordered_json line{{"type", word_of(object.fate)}};
  add_name(line, "source", source);
  add_name(line, "destination", object.destination);
  line.update({{"size", record.object_size ? nlohmann::ordered_json(*record.object_size) : nlohmann::ordered_json()},
               {"last_modified", to_iso8601(record.last_modified)},
               {"version_id", record.version_id.str()},
               {"bytes_read", object.bytes_read},
               {"sha256", record.sha256},
               {"archive", record.backup_file}});
  add_key_bytes(line, record.object_path);
  emit(context, line, text);
}

/// An archive that was asked for, or would have to be.
void report_asked(Context& context, const recover::ArchiveCopy& copy, const recover::ArchiveRequest& request) {
  const std::string_view wait = transfer::usual_wait(copy.storage_class, request.tier);
  emit(context,
       {{"type", "asked"},
        {"archive", to_uri(copy.address)},
        {"storage_class", copy.storage_class},
        {"tier", request.tier},
        {"days", request.days},
        {"dryrun", context.options().dryrun}},
       fmt::format("{}ask for: {} ({}, {}{}{}, readable for {} then)", context.options().dryrun ? "(dryrun) " : "",
                   escape_name(to_uri(copy.address)), copy.storage_class, request.tier, wait.empty() ? "" : ": ", wait,
                   format_count(static_cast<std::uint64_t>(request.days), "day")));
}

std::string verified_text(const Totals& totals, bool dryrun) {
  if (totals.unverified > 0) return fmt::format(", {} not verifiable (no SHA-256)", format_count(totals.unverified));
  return totals.restored > 0 && !dryrun ? ", every one of them verified by SHA-256" : "";
}

/// What is left for another run.
std::string waiting_text(const Totals& totals, bool dryrun) {
  if (totals.read.archives_waiting == 0) return "";
  const std::string archives = format_count(totals.read.archives_waiting, "archive");
  if (dryrun) return fmt::format("; {} cannot be read at once: restore asks for them and waits", archives);
  return fmt::format("; {} waiting for {}: run the same command again when they can be read",
                     format_count(totals.waiting, "object"), archives);
}

void print_summary(Context& context, const Totals& totals) {
  const bool dryrun = context.options().dryrun;
  const std::string deleted =
      totals.deleted == 0 ? ""
                          : fmt::format("; {} left out: their deletion was recorded", format_count(totals.deleted));
  emit(context,
       {{"type", "summary"},
        {"restored", totals.restored},
        {"same", totals.same},
        {"waiting", totals.waiting},
        {"failed", totals.failed + totals.missing},
        {"deleted", totals.deleted},
        {"not_verifiable", totals.unverified},
        {"bytes", totals.bytes},
        {"bytes_read", totals.read.bytes_read},
        {"requests", totals.read.requests},
        {"archives", totals.read.archives},
        {"archives_asked", totals.read.archives_asked},
        {"archives_waiting", totals.read.archives_waiting},
        {"dryrun", dryrun}},
       fmt::format("{}{} {} ({}{}), {} there already, {} failed; {} {} of {} in {}{}{}", dryrun ? "(dryrun) " : "",
                   format_count(totals.restored), dryrun ? "to restore" : "restored", format_bytes(totals.bytes),
                   verified_text(totals, dryrun), format_count(totals.same),
                   format_count(totals.failed + totals.missing), format_bytes(totals.read.bytes_read),
                   dryrun ? "to read" : "read", format_count(totals.read.archives, "archive"),
                   format_count(totals.read.requests, "request"), waiting_text(totals, dryrun), deleted));
}

int status_of(const Totals& totals, int catalog_status) {
  if (catalog_status == exit_damaged || totals.failures.contains(ErrorKind::corrupt)) return exit_damaged;
  if (catalog_status != exit_ok) return catalog_status;
  const bool some = totals.restored + totals.same + totals.waiting > 0;
  if (totals.failed > 0) {
    // Nothing was to be had, and for one reason: it is the command's own.
    const bool one_reason = !some && totals.missing == 0 && totals.failures.size() == 1;
    const ErrorKind kind = *totals.failures.begin();
    return one_reason && (kind == ErrorKind::not_found || kind == ErrorKind::denied) ? exit_status(kind)
                                                                                     : exit_some_failed;
  }
  if (totals.waiting > 0) return exit_some_failed;
  if (totals.missing > 0) return some ? exit_some_failed : exit_not_found;
  return some ? exit_ok : exit_not_found;
}

/// Shows how far a restore is, or that it waits.
class RestoreProgress {
 public:
  explicit RestoreProgress(Context& context) : context_(context) { start(); }
  flow::Progress& counters() noexcept { return progress_; }
  void waiting(std::size_t archives) {
    if (archives == 0) return start();
    printer_.reset();
    context_.set_status(fmt::format("waiting for {} to become readable", format_count(archives, "archive")));
  }

 private:
  void start() { printer_.emplace(context_, progress_, "restoring"); }
  Context& context_;
  flow::Progress progress_;
  std::optional<ProgressPrinter> printer_;
};

recover::RestoreResult run_restore(Context& context, const RestoreCommandOptions& options, const recover::Query& query,
                                   const recover::RestoreTarget& target, const catalog::RecordList& records,
                                   Totals& totals) {
  store::ObjectStore* destination = target.directory ? nullptr : &context.store(context.region());
  const auto archives = [&](const catalog::Record&) -> store::ObjectStore& { return context.store(context.region()); };
  RestoreProgress progress(context);
  NameChanges names(context);
  recover::RestoreOptions how;
  how.overwrite = options.overwrite;
  how.dryrun = context.options().dryrun;
  how.archives = options.archives;
  how.buckets = allowed_buckets(context, options.where);
  how.archives.wait = !options.no_wait;
  how.progress = &progress.counters();
  recover::Restore job(archives, destination, target, how, context.world(), context.pools(), context.budget());
  const auto run = [&] {
    return recover::restore_with_replacements(
        job, records,
        [&](const recover::GoneObjects& gone) {
          return ask_again(context, options.where, query, gone, /*exact_version=*/!options.sql.empty());
        },
        [&](const recover::RestoredObject& object) { report(context, object, totals, names); },
        {[&](const recover::ArchiveCopy& copy) { report_asked(context, copy, how.archives); },
         [&](std::size_t waiting) { progress.waiting(waiting); }});
  };
  try {
    return run();
  } catch (const Error& error) {
    if (!os::is_of_whole_target(error)) throw;
    const std::uint64_t done = totals.restored + totals.same;
    throw ended_run(error, {done, std::max<std::uint64_t>(records.size(), done) - done}, "restored",
                    "what is restored is not read again");
  }
}

recover::SearchResult find_in(Context& context, const RestoreCommandOptions& options, const QueryOptions& where,
                              const recover::Query& query) {
  if (!options.sql.empty()) return find_by_sql(context, where, options.sql, query);
  return find_records(context, where, query, recover::OnDamage::read_archive);
}

/// Searches; updates the local index and searches again before an object is reported as missing.
recover::SearchResult find(Context& context, const RestoreCommandOptions& options, const recover::Query& query) {
  recover::SearchResult found = find_in(context, options, options.where, query);
  if (!found.records.empty() && missing_names(options, found).empty()) return found;
  const auto where = newer_than_indexes(context, options.where);
  return where ? find_in(context, options, *where, query) : std::move(found);
}

int restore(Context& context, const RestoreCommandOptions& options) {
  context.break_off_on_stop();
  const recover::Query query = query_of(options);
  const recover::RestoreTarget target = target_of(context, options);
  // Before anything is searched for and read.
  if (target.directory && !context.options().dryrun) os::try_target(context.world().files, target.directory->path);
  const recover::SearchResult found = find(context, options, query);
  check_one_source(found.records);
  Totals totals;
  totals.missing = report_missing(context, options, query, found);
  totals.deleted = count_by_pattern(query, found.deletions);
  totals.read = run_restore(context, options, query, target, found.records, totals);
  print_summary(context, totals);
  return status_of(totals, status_of_damage(found.damage));
}

}  // namespace

void add_restore_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("restore", "Get objects back out of backups, verified");
  const auto options = std::make_shared<RestoreCommandOptions>();
  command->add_option("PATH", options->paths, "keys, or patterns with * and ? (\\* and \\? are a literal * and ?)");
  command->add_option("--to", options->to, "directory, or s3://bucket[/prefix]")
      ->type_name("DIR|URI")
      ->required()
      ->check(refuse_empty);
  add_query_options(*command, options->where);
  add_allow_bucket_option(*command, options->where);
  command
      ->add_option("--storage-class", options->storage_class,
                   "storage class in the bucket [the object's own; STANDARD if archived]")
      ->check(refuse_empty);
  command->add_flag("--no-tags", options->without_tags, "do not restore tags, for servers without object tags");
  command->add_flag("--no-metadata", options->without_metadata, "do not restore user metadata");
  command
      ->add_option("--query", options->sql,
                   "what this query of the local index gives (`bale catalog sql`): SELECT * FROM catalog WHERE ...")
      ->type_name("SQL")
      ->check(refuse_empty);
  command
      ->add_option("--as-of", options->as_of,
                   "the state at this time: versions and deletions that came later do not count")
      ->type_name("TIME")
      ->check(refuse_empty)
      ->excludes("--until");
  command
      ->add_option("--tier", options->archives.tier,
                   "how archives in GLACIER or DEEP_ARCHIVE are asked for: Standard, Bulk or Expedited [Standard]")
      ->transform(
          CLI::IsMember(std::vector<std::string>{"Standard", "Bulk", "Expedited"}, CLI::ignore_case).description(""));
  command->add_option("--days", options->archives.days, "how long such archives are to stay readable [7]")
      ->type_name("N")
      ->check(CLI::Range(1, 36500).description(""));
  command->add_flag("--no-wait", options->no_wait, "ask for such archives, and leave their objects to another run");
  command->add_flag("--overwrite", options->overwrite, "replace what is there and different");
  command->callback([&action, command, options] {
    options->prefix_given = command->count("--prefix") > 0;
    action = [options](Context& context) { return restore(context, *options); };
  });
}

}  // namespace bale::cli
