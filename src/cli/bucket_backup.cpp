// bale bucket backup
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/bucket_commands.hpp"
#include "cli/bucket_metrics.hpp"
#include "cli/bucket_report.hpp"
#include "cli/output.hpp"
#include "flow/rate_limit.hpp"
#include "jobs/bucket/backup.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

ByteCount bytes_option(const std::string& text, const char* option) {
  if (text.empty()) return 0;
  try {
    return parse_bytes(text);
  } catch (const Error& error) {
    throw error.with_where(option);
  }
}

void check_usage(const BucketBackupOptions& options, const BucketOptions& where) {
  const auto refuse = [](const char* what, const char* hint) { return Error(ErrorKind::invalid, what, {}, hint); };
  if (where.tag_deleted && !options.from_report.empty())
    throw refuse("--from-report lists no bucket: what was deleted is not known", "leave --tag-deleted away");
  if (where.tag_deleted && where.all)
    throw refuse("--all copies without comparing", "run `bale bucket tag-deleted` after it");
  const bool is_listed = options.from_report.empty() && options.work.manifest.empty();
  if (options.versions &&
      (where.tag_deleted || where.all || !is_listed || options.max_objects || !options.max_bytes.empty()))
    throw refuse(
        "--versions goes with none of --tag-deleted, --all, --from-report, --manifest, --max-objects, --max-bytes",
        "leave the others away: delete markers are copied as versions");
  if (!options.from_report.empty() && !options.work.manifest.empty())
    throw refuse("--from-report and --manifest both name what is to be copied", "give one of them");
}

bucket::BackupRequest request_of(BucketContext& bucket, const BucketOptions& where,
                                 const BucketBackupOptions& options) {
  bucket::BackupRequest request{.source = bucket.source(), .destination = bucket.destination()};
  request.copies.may_be_standard = options.storage_class.empty();
  if (options.storage_class == "source")
    request.copies.storage_class.clear();
  else if (!options.storage_class.empty())
    request.copies.storage_class = options.storage_class;
  request.copies.ia_above = bytes_option(options.ia_above, "--ia-above");
  request.copies.kms_key_arn = options.kms_key_id;
  request.copies.tags = !options.no_tags;
  request.copies.through_program = options.stream || bucket.needs_streaming();
  request.listed.level = bucket::parse_level(options.level);
  request.copies_all = where.all;
  if (!where.all) {
    const std::chrono::hours since(where.last_modified_since.value_or(default_last_modified_since));
    request.listed.since = bucket.context().world().clock.now() - since;
  }
  request.tag_deleted = where.tag_deleted;
  request.allow_empty_source = options.allow_empty_source;
  if (!options.max_deleted.empty()) request.mark_limit = bucket::parse_mark_limit(options.max_deleted);
  request.max_objects = options.max_objects;
  if (where.objects_count) request.max_objects = where.objects_count;
  if (!options.max_bytes.empty()) request.max_bytes = bytes_option(options.max_bytes, "--max-bytes");
  request.dryrun = bucket.context().options().dryrun;
  request.is_wanted = bucket.filter();
  return request;
}

/// Prints what happens to single objects, and writes the report. Thread-safe.
class Events {
 public:
  Events(BucketContext& bucket, const std::string& report) : bucket_(bucket), report_(bucket.context(), report) {}

  bucket::BackupEvents events() {
    return {.copied = [this](const std::string& name, bucket::CopyReason reason,
                             ByteCount bytes) { copied(name, reason, bytes); },
            .failed = [this](const std::string& name, const Error& error) { failed("copy", name, error); },
            .marks = {.done = [this](bucket::MarkEvents::Kind kind, const std::string& name) { marked(kind, name); },
                      .failed = [this](const std::string& name, const Error& error) { failed("tag", name, error); }},
            .over_limit = [this](const std::string& name) { emit_mark(bucket_, "over_limit", "not marked", name); }};
  }
  void close() { report_.close(); }

 private:
  void copied(const std::string& name, bucket::CopyReason reason, ByteCount bytes) {
    Context& context = bucket_.context();
    const bool dryrun = context.options().dryrun;
    const std::string from = to_uri(bucket_.source().at(name)), to = to_uri(bucket_.destination().at(name));
    Json line{{"type", dryrun ? "dryrun" : "copied"}};
    add_name(line, "source", from);
    add_name(line, "destination", to);
    line["reason"] = bucket::to_string(reason);
    line["bytes"] = bytes;
    emit(context, line,
         fmt::format("{}copy: {} to {} ({})", dryrun ? "(dryrun) " : "", escape_name(from), escape_name(to),
                     bucket::to_string(reason)));
  }

  void marked(bucket::MarkEvents::Kind kind, const std::string& name) {
    const bool is_mark = kind == bucket::MarkEvents::Kind::mark;
    emit_mark(bucket_, is_mark ? "marked" : "unmarked", is_mark ? "mark deleted" : "remove mark", name);
  }

  void failed(const char* doing, const std::string& name, const Error& error) {
    const std::string key = bucket_.source().prefix + name;
    emit_failure(bucket_.context(), fmt::format("{} failed: {}", doing, escape_name(key)), error);
    report_.add(bucket::to_json(key, error));
  }

  BucketContext& bucket_;
  ReportFile report_;
};

std::string storage_text(const bucket::StorageEstimate& storage, const bucket::Prices& prices,
                         const std::string& storage_class) {
  if (storage.objects == 0) return {};
  std::string text = fmt::format("\nstorage: {} a month in {}", format_dollars(bucket::month_of(storage, prices)),
                                 storage_class.empty() ? "the classes of the source" : storage_class);
  if (storage.small > 0) {
    text += fmt::format(", where {} of less than 128 KiB ({}) are billed as 128 KiB each; in STANDARD {} a month",
                        format_count(storage.small, "object"), format_bytes(storage.small_bytes),
                        format_dollars(bucket::month_in_standard(storage, prices)));
    text += "; --ia-above 128K keeps small objects STANDARD";
  }
  if (storage.kept_standard > 0)
    text += fmt::format("; {} stay STANDARD", format_count(storage.kept_standard, "object"));
  return text;
}

Json storage_json(const bucket::StorageEstimate& storage, const bucket::Prices& prices) {
  return {{"objects", storage.objects},
          {"bytes", storage.bytes},
          {"billed_bytes", storage.billed},
          {"small_objects", storage.small},
          {"small_bytes", storage.small_bytes},
          {"kept_standard", storage.kept_standard},
          {"month_dollars", bucket::month_of(storage, prices)},
          {"month_dollars_standard", bucket::month_in_standard(storage, prices)}};
}

/// The requests that the copies of a dry run would take.
bucket::RequestCounts foreseen(const bucket::BackupCounts& counts) {
  bucket::RequestCounts requests;
  requests.head = counts.copied;
  requests.copy = counts.copied;
  return requests;
}

class Summary {
 public:
  Summary(BucketContext& bucket, const bucket::BackupRequest& request)
      : bucket_(bucket), request_(request), started_(bucket.context().world().clock.steady()) {}

  void print(const bucket::BackupCounts& counts) {
    Context& context = bucket_.context();
    const bucket::Prices prices = bucket_.prices(request_.copies.storage_class);
    const bucket::RequestCounts requests = bucket_.requests();
    const double dollars = bucket::price_of(requests, prices);
    const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started_);
    Json summary = json_of(counts);
    add_requests(summary, requests, dollars, bucket_, elapsed);
    if (request_.dryrun)
      summary["copy_dollars"] = bucket::price_of(foreseen(counts), prices) + transfer(counts, prices);
    if (counts.storage.objects > 0) summary["storage"] = storage_json(counts.storage, prices);
    emit_lines(context, summary,
               text_of(counts, prices, elapsed) + "\n" + requests_text(requests, dollars) +
                   storage_text(counts.storage, prices, request_.copies.storage_class));
  }

 private:
  static double transfer(const bucket::BackupCounts& counts, const bucket::Prices& prices) {
    constexpr double gib = 1024.0 * 1024 * 1024;
    return static_cast<double>(counts.copied_bytes) / gib * prices.transfer;
  }

  Json json_of(const bucket::BackupCounts& counts) const {
    return {{"type", "summary"},
            {"operation", "backup"},
            {"dryrun", request_.dryrun},
            {"sources", counts.sources},
            {"source_bytes", counts.source_bytes},
            {"destinations", counts.destinations},
            {"current", counts.current},
            {"copied", counts.copied},
            {"bytes", counts.copied_bytes},
            {"missing", counts.missing},
            {"changed", counts.changed},
            {"gone", counts.gone},
            {"extra", counts.extra},
            {"failed", counts.failed + counts.marks.failed},
            {"tags_not_read", counts.tags_not_read},
            {"marked", counts.marks.marked},
            {"unmarked", counts.marks.unmarked},
            {"marked_before", counts.marks.before},
            {"at_limit", counts.is_at_limit}};
  }

  std::string text_of(const bucket::BackupCounts& counts, const bucket::Prices& prices, Milliseconds elapsed) const {
    std::string text =
        fmt::format("{}{} copied ({} missing, {} changed), {} in {} ({}); {} current",
                    request_.dryrun ? "(dryrun) " : "", format_count(counts.copied, "object"),
                    format_count(counts.missing), format_count(counts.changed), format_bytes(counts.copied_bytes),
                    format_duration(elapsed), format_rate(counts.copied_bytes, elapsed), format_count(counts.current));
    const auto add = [&](std::uint64_t count, const char* what) {
      if (count > 0) text += fmt::format(", {} {}", format_count(count), what);
    };
    add(counts.failed + counts.marks.failed, "failed");
    add(counts.gone, "gone from the source meanwhile");
    add(counts.extra, "only in the destination");
    add(counts.marks.marked, "marked as deleted");
    add(counts.marks.unmarked, "no longer marked");
    add(counts.tags_not_read, "without tags (--no-tags)");
    add(counts.marks.left, "left for the next run");
    if (counts.is_at_limit) text += "; a limit ended the run: run it again for the rest";
    if (request_.dryrun && counts.copied > 0) {
      text += fmt::format("\ncopying would cost about {} at AWS in requests and transfer",
                          format_dollars(bucket::price_of(foreseen(counts), prices) + transfer(counts, prices)));
    }
    return text;
  }

  BucketContext& bucket_;
  const bucket::BackupRequest& request_;
  const std::chrono::steady_clock::time_point started_;
};

int status_of(const bucket::BackupCounts& counts) {
  if (counts.failed + counts.marks.failed > 0) return exit_some_failed;
  return counts.is_at_limit || counts.marks.left > 0 ? exit_try_again : exit_ok;
}

void tell_metrics(BucketContext& bucket, const BucketOptions& where, const bucket::BackupCounts& counts) {
  BucketMetrics metrics(bucket.context(), where.dimension, where.wants_metrics);
  metrics.set("ObjectsIn" + where.source.bucket.str(), static_cast<double>(counts.sources));
  metrics.set("ObjectsIn" + where.destination.bucket.str(), static_cast<double>(counts.destinations));
  metrics.set("BackupObjectsErrors", static_cast<double>(counts.failed));
  metrics.set("SlowDown", static_cast<double>(bucket.slow_downs()));
  metrics.tell_done("ObjectsToCompare", counts.current + counts.changed, 0);
  metrics.tell_done("ObjectsToBackup", counts.copied + counts.failed, counts.failed);
  if (!where.tag_deleted) return;
  metrics.set("TagDeletedObjectsErrors", static_cast<double>(counts.marks.failed));
  metrics.tell_done("ObjectsToTagAsDeleted", counts.marks.marked + counts.marks.left + counts.marks.failed,
                    counts.marks.left + counts.marks.failed);
}

void run(BucketContext& bucket, const BucketBackupOptions& options, bucket::Backup& backup) {
  const ProgressPrinter printer(bucket.context(), bucket.progress(), "copying");
  if (!options.from_report.empty()) {
    ReportReader reader(bucket.context().world().files, options.from_report, bucket.source().prefix);
    backup.run_names([&] { return reader.next(); });
    return;
  }
  const auto source = bucket.list_source(), destination = bucket.list(bucket.destination());
  const auto journal = bucket.entries();
  backup.run(*source, *destination, journal.get());
}

int back_up(Context& context, const BucketBackupOptions& options) {
  const BucketOptions where = bucket_options(options.arguments, BucketVerb::backup, context.world().environment);
  apply_to(context, where);
  check_usage(options, where);
  BucketContext bucket(context, where, options.work);
  bucket::BackupRequest request = request_of(bucket, where, options);
  const ByteCount bandwidth = bytes_option(options.bandwidth_limit, "--bandwidth-limit");
  flow::RateLimit limit(context.world().clock,
                        [bandwidth] { return bandwidth > 0 ? std::optional(bandwidth) : std::nullopt; });
  if (bandwidth > 0) request.copies.pass_bytes = [&](ByteCount bytes) { limit.pass(bytes, context.stop()); };
  if (options.versions) return bucket_backup_versions(bucket, options, request.copies);
  Events events(bucket, options.report);
  Summary summary(bucket, request);
  const bucket::Tools tools = bucket.tools();
  bucket::Backup backup(request, bucket.journal(), bucket.limit(), tools, events.events());
  try {
    run(bucket, options, backup);
  } catch (...) {
    if (!request.dryrun) bucket.save_journal();
    events.close();
    tell_metrics(bucket, where, backup.counts());
    summary.print(backup.counts());
    throw;
  }
  if (!request.dryrun) bucket.save_journal();
  events.close();
  const bucket::BackupCounts counts = backup.counts();
  tell_metrics(bucket, where, counts);
  summary.print(counts);
  return status_of(counts);
}

}  // namespace

int bucket_backup(Context& context, const BucketBackupOptions& options) {
  return run_bucket_command(context, "bucket backup failed", [&] { return back_up(context, options); });
}

}  // namespace bale::cli
