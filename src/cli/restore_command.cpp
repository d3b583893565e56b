// bale restore
#include <fmt/format.h>

#include <CLI/CLI.hpp>
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

/// A path that was asked for and is in no backup, or whose deletion is the newest that is known.
std::vector<std::string> missing_paths(const recover::Query& query, const std::vector<catalog::Record>& records) {
  std::set<std::string> found;
  for (const catalog::Record& record : records) found.insert(record.object_path.str());
  std::vector<std::string> missing;
  for (const std::string& path : query.paths) {
    if (!found.contains(path)) missing.push_back(path);
  }
  return missing;
}

struct Totals {
  std::uint64_t restored = 0, same = 0, failed = 0, unverified = 0;
  ByteCount bytes = 0, bytes_read = 0;
  ErrorKind worst = ErrorKind::unavailable;
};

void report(Context& context, const recover::RestoredObject& object, Totals& totals) {
  const catalog::Record& record = *object.record;
  const std::string source = to_uri(record.source_bucket, record.object_path);
  if (object.fate == recover::RestoreFate::failed) {
    ++totals.failed;
    if (totals.worst != ErrorKind::corrupt) totals.worst = object.error->kind();
    return emit_failure(context, "restore failed: " + escape_for_terminal(source), *object.error);
  }
  const bool restored = object.fate == recover::RestoreFate::restored;
  ++(restored ? totals.restored : totals.same);
  totals.bytes += restored ? record.object_size : 0;
  totals.bytes_read += object.bytes_read;
  if (record.sha256.empty()) ++totals.unverified;
  const std::string text =
      fmt::format("{}{}: {} to {}{}", context.options().dryrun ? "(dryrun) " : "", restored ? "restore" : "same",
                  escape_for_terminal(source), escape_for_terminal(object.destination),
                  restored ? fmt::format(" ({} of {} read)", format_bytes(object.bytes_read), record.backup_file) : "");
  emit(context,
       {{"type", restored ? "restored" : "same"},
        {"source", source},
        {"destination", object.destination},
        {"size", record.object_size},
        {"bytes_read", object.bytes_read},
        {"sha256", record.sha256},
        {"archive", record.backup_file}},
       text);
}

int restore(Context& context, const RestoreCommandOptions& options) {
  const recover::Query query = query_of(options);
  const recover::RestoreTarget target = target_of(options);
  const auto records = find_records(context, options.where, query);
  check_one_source(records);
  const auto missing = missing_paths(query, records);
  for (const std::string& path : missing) {
    emit_failure(
        context, "restore failed: " + escape_for_terminal(path),
        Error(ErrorKind::not_found, "no backup has this object", {}, "`bale catalog search` shows what there is"));
  }
  store::ObjectStore* destination = target.directory ? nullptr : &context.store(context.region());
  const auto archives = [&](const catalog::Record&) -> store::ObjectStore& { return context.store(context.region()); };
  recover::Restore job(archives, destination, target,
                       {.overwrite = options.overwrite, .dryrun = context.options().dryrun}, context.world(),
                       context.pools(), context.budget());
  Totals totals;
  job.run(records, [&](const recover::RestoredObject& object) { report(context, object, totals); });
  const std::string verified = totals.unverified == 0 ? std::string("every object verified by SHA-256")
                                                      : fmt::format("{} without a hash to verify", totals.unverified);
  emit(context,
       {{"type", "summary"},
        {"restored", totals.restored},
        {"same", totals.same},
        {"failed", totals.failed + missing.size()},
        {"bytes", totals.bytes},
        {"bytes_read", totals.bytes_read},
        {"dryrun", context.options().dryrun}},
       fmt::format("{}{} restored ({}), {} there already, {} failed; {} read, {}",
                   context.options().dryrun ? "(dryrun) " : "", format_count(totals.restored),
                   format_bytes(totals.bytes), format_count(totals.same), format_count(totals.failed + missing.size()),
                   format_bytes(totals.bytes_read), verified));
  if (totals.failed > 0) return totals.worst == ErrorKind::corrupt ? exit_damaged : exit_some_failed;
  if (!missing.empty() || records.empty()) return totals.restored + totals.same > 0 ? exit_some_failed : exit_not_found;
  return exit_ok;
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
