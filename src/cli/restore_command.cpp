// bale restore
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_places.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "jobs/recover/restore.hpp"

namespace bale::cli {
namespace {

struct RestoreCommandOptions {
  QueryOptions where;
  std::vector<std::string> paths;
  std::string to;
  std::string storage_class;
  bool overwrite = false;
  bool prefix_given = false;  ///< --prefix was there, though it may be empty: everything
};

recover::Query query_of(const RestoreCommandOptions& options) {
  if (options.paths.empty() && !options.prefix_given) {
    throw Error(ErrorKind::invalid, "nothing to restore was named", {},
                "give paths, patterns ('*' restores everything), or --prefix P");
  }
  recover::Query query = base_query(options.where);
  for (const std::string& path : options.paths) {
    (path.find_first_of("*?") == std::string::npos ? query.paths : query.patterns).push_back(path);
  }
  return query;
}

recover::RestoreTarget target_of(const RestoreCommandOptions& options) {
  recover::RestoreTarget target;
  target.storage_class = options.storage_class;
  if (!is_s3_uri(options.to)) {
    target.directory = options.to;
    return target;
  }
  const ObjectAddress place = parse_s3_uri(options.to);
  target.bucket = place.bucket;
  target.prefix = place.key.str();
  if (!target.prefix.empty() && !target.prefix.ends_with('/')) target.prefix += '/';
  return target;
}

/// Keys of different buckets would meet under one name.
void check_one_source(const std::vector<catalog::Record>& records) {
  std::set<std::string> buckets;
  for (const catalog::Record& record : records) buckets.insert(record.source_bucket.str());
  if (buckets.size() <= 1) return;
  throw Error(ErrorKind::invalid,
              fmt::format("the objects are of {} source buckets ({}, {}, ...)", buckets.size(), *buckets.begin(),
                          *std::next(buckets.begin())),
              {}, "choose one with --bucket NAME");
}

Error missing_error(const std::string& path, const recover::SearchResult& found) {
  for (const catalog::Record& deletion : found.deletions) {
    if (deletion.object_path.str() != path) continue;
    const std::string time = to_iso8601(deletion.last_modified);
    return Error(ErrorKind::not_found, "its deletion was recorded at " + time, {},
                 fmt::format("`--until {}` restores the version before, where a backup has one", time));
  }
  const char* const what =
      may_be_incomplete(found.damage) ? "no catalog row that can be read has this object" : "no backup has this object";
  return Error(ErrorKind::not_found, what, {}, "`bale catalog search` shows what there is");
}

/// Names each path that was asked for and is in no backup, or whose deletion is the newest that is known. Returns how
/// many they are.
std::size_t report_missing(Context& context, const recover::Query& query, const recover::SearchResult& found) {
  std::set<std::string> there;
  for (const catalog::Record& record : found.records) there.insert(record.object_path.str());
  std::size_t missing = 0;
  for (const std::string& path : query.paths) {
    if (there.contains(path)) continue;
    ++missing;
    emit_failure(context, "restore failed: " + escape_name(path), missing_error(path, found));
  }
  return missing;
}

struct Totals {
  std::uint64_t restored = 0, same = 0, failed = 0, unverified = 0, missing = 0, deleted = 0;
  ByteCount bytes = 0, bytes_read = 0;
  std::set<ErrorKind> failures;
};

void report(Context& context, const recover::RestoredObject& object, Totals& totals) {
  const catalog::Record& record = *object.record;
  const std::string source = to_uri(record.source_bucket, record.object_path);
  if (object.fate == recover::RestoreFate::failed) {
    ++totals.failed;
    totals.failures.insert(object.error->kind());
    return emit_failure(context, "restore failed: " + escape_name(source), *object.error);
  }
  const bool restored = object.fate == recover::RestoreFate::restored;
  ++(restored ? totals.restored : totals.same);
  totals.bytes += restored ? record.object_size : 0;
  totals.bytes_read += object.bytes_read;
  if (restored && record.sha256.empty()) ++totals.unverified;
  const std::string text =
      fmt::format("{}{}: {} to {}{}", context.options().dryrun ? "(dryrun) " : "", restored ? "restore" : "same",
                  escape_name(source), escape_name(object.destination),
                  restored ? fmt::format(" ({} of {} read)", format_bytes(object.bytes_read), record.backup_file) : "");
  nlohmann::ordered_json line{{"type", restored ? "restored" : "same"}};
  add_name(line, "source", source);
  add_name(line, "destination", object.destination);
  line.update({{"size", record.object_size},
               {"bytes_read", object.bytes_read},
               {"sha256", record.sha256},
               {"archive", record.backup_file}});
  add_key_bytes(line, record.object_path);
  emit(context, line, text);
}

void print_summary(Context& context, const Totals& totals) {
  const bool dryrun = context.options().dryrun;
  std::string verified;
  if (totals.unverified > 0)
    verified = fmt::format(", {} not verifiable (no SHA-256)", format_count(totals.unverified));
  else if (totals.restored > 0 && !dryrun)
    verified = ", every one of them verified by SHA-256";
  const std::string deleted =
      totals.deleted == 0 ? ""
                          : fmt::format("; {} left out: their deletion was recorded", format_count(totals.deleted));
  emit(context,
       {{"type", "summary"},
        {"restored", totals.restored},
        {"same", totals.same},
        {"failed", totals.failed + totals.missing},
        {"deleted", totals.deleted},
        {"not_verifiable", totals.unverified},
        {"bytes", totals.bytes},
        {"bytes_read", totals.bytes_read},
        {"dryrun", dryrun}},
       fmt::format("{}{} restored ({}{}), {} there already, {} failed; {} {}{}", dryrun ? "(dryrun) " : "",
                   format_count(totals.restored), format_bytes(totals.bytes), verified, format_count(totals.same),
                   format_count(totals.failed + totals.missing), format_bytes(totals.bytes_read),
                   dryrun ? "to read" : "read", deleted));
}

int status_of(const Totals& totals, bool incomplete) {
  if (incomplete || totals.failures.contains(ErrorKind::corrupt)) return exit_damaged;
  const bool some = totals.restored + totals.same > 0;
  if (totals.failed > 0) {
    // Nothing was to be had, and for one reason: it is the command's own.
    const bool one_reason = !some && totals.missing == 0 && totals.failures.size() == 1;
    const ErrorKind kind = *totals.failures.begin();
    return one_reason && (kind == ErrorKind::not_found || kind == ErrorKind::denied) ? exit_status(kind)
                                                                                     : exit_some_failed;
  }
  if (totals.missing > 0) return some ? exit_some_failed : exit_not_found;
  return some ? exit_ok : exit_not_found;
}

int restore(Context& context, const RestoreCommandOptions& options) {
  const recover::Query query = query_of(options);
  const recover::RestoreTarget target = target_of(options);
  const recover::SearchResult found = find_records(context, options.where, query, recover::OnDamage::read_archive);
  check_one_source(found.records);
  Totals totals;
  totals.missing = report_missing(context, query, found);
  const auto by_pattern = [&](const catalog::Record& deletion) {  // others were asked for by name: they are missing
    return std::find(query.paths.begin(), query.paths.end(), deletion.object_path.str()) == query.paths.end();
  };
  totals.deleted =
      static_cast<std::uint64_t>(std::count_if(found.deletions.begin(), found.deletions.end(), by_pattern));
  store::ObjectStore* destination = target.directory ? nullptr : &context.store(context.region());
  const auto archives = [&](const catalog::Record&) -> store::ObjectStore& { return context.store(context.region()); };
  recover::Restore job(archives, destination, target,
                       {.overwrite = options.overwrite, .dryrun = context.options().dryrun}, context.world(),
                       context.pools(), context.budget());
  job.run(found.records, [&](const recover::RestoredObject& object) { report(context, object, totals); });
  print_summary(context, totals);
  return status_of(totals, may_be_incomplete(found.damage));
}

}  // namespace

void add_restore_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("restore", "Get objects back out of backups, verified");
  const auto options = std::make_shared<RestoreCommandOptions>();
  command->add_option("PATH", options->paths, "keys, or patterns with * and ?");
  command->add_option("--to", options->to, "directory, or s3://bucket[/prefix]")->type_name("DIR|URI")->required();
  add_query_options(*command, options->where);
  command->add_option("--storage-class", options->storage_class,
                      "storage class in the bucket [the object's own; STANDARD if archived]");
  command->add_flag("--overwrite", options->overwrite, "replace what is there and different");
  command->callback([&action, command, options] {
    options->prefix_given = command->count("--prefix") > 0;
    action = [options](Context& context) { return restore(context, *options); };
  });
}

}  // namespace bale::cli
