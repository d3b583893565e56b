// bale bucket tag-deleted
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/bucket_commands.hpp"
#include "cli/bucket_metrics.hpp"
#include "cli/bucket_report.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/report.hpp"
#include "jobs/bucket/tag_deleted.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

bucket::TagRequest request_of(BucketContext& bucket, const BucketTagOptions& options) {
  bucket::TagRequest request{.source = bucket.source(), .destination = bucket.destination()};
  request.allow_empty_source = options.allow_empty_source;
  if (!options.max_deleted.empty()) request.limit = bucket::parse_mark_limit(options.max_deleted);
  request.checks_marks = options.check_marks;
  request.dryrun = bucket.context().options().dryrun;
  request.is_wanted = bucket.filter();
  return request;
}

void print_summary(BucketContext& bucket, const bucket::TagCounts& counts, Milliseconds elapsed) {
  const bucket::RequestCounts requests = bucket.requests();
  const double dollars = bucket::price_of(requests, bucket.prices("STANDARD"));
  const bool dryrun = bucket.context().options().dryrun;
  Json summary{{"type", "summary"},
               {"operation", "tag-deleted"},
               {"dryrun", dryrun},
               {"sources", counts.sources},
               {"destinations", counts.copies},
               {"extra", counts.extra},
               {"marked", counts.marks.marked},
               {"unmarked", counts.marks.unmarked},
               {"marked_before", counts.marks.before},
               {"left", counts.marks.left},
               {"failed", counts.marks.failed}};
  add_requests(summary, requests, dollars, bucket, elapsed);
  std::string text =
      fmt::format("{}{} marked as deleted, {} no longer, {} marked before; of {} in {}", dryrun ? "(dryrun) " : "",
                  format_count(counts.marks.marked, "copy"), format_count(counts.marks.unmarked),
                  format_count(counts.marks.before), format_count(counts.copies, "object"), format_duration(elapsed));
  if (counts.marks.failed > 0) text += fmt::format("; {} failed", format_count(counts.marks.failed));
  if (counts.marks.left > 0) text += fmt::format("; {} left for the next run", format_count(counts.marks.left));
  emit_lines(bucket.context(), summary, text + "\n" + requests_text(requests, dollars));
}

void tell_metrics(BucketContext& bucket, const BucketOptions& where, const bucket::TagCounts& counts) {
  BucketMetrics metrics(bucket.context(), where.dimension, where.wants_metrics);
  metrics.set("ObjectsIn" + where.source.bucket.str(), static_cast<double>(counts.sources));
  metrics.set("ObjectsIn" + where.destination.bucket.str(), static_cast<double>(counts.copies));
  metrics.set("TagDeletedObjectsErrors", static_cast<double>(counts.marks.failed));
  metrics.set("SlowDown", static_cast<double>(bucket.slow_downs()));
  metrics.tell_done("ObjectsToTagAsDeleted", counts.marks.marked + counts.marks.left + counts.marks.failed,
                    counts.marks.left + counts.marks.failed);
}

int tag(Context& context, const BucketTagOptions& options) {
  const BucketOptions where = bucket_options(options.arguments, BucketVerb::compare, context.world().environment);
  apply_to(context, where);
  BucketContext bucket(context, where, options.work);
  const bucket::TagRequest request = request_of(bucket, options);
  const auto started = context.world().clock.steady();
  ReportFile report(context, options.report);
  const bucket::MarkEvents events{.done =
                                      [&](bucket::MarkEvents::Kind kind, const std::string& name) {
                                        const bool is_mark = kind == bucket::MarkEvents::Kind::mark;
                                        emit_mark(bucket, is_mark ? "marked" : "unmarked",
                                                  is_mark ? "mark deleted" : "remove mark", name);
                                      },
                                  .failed =
                                      [&](const std::string& name, const Error& error) {
                                        const std::string key = bucket.destination().prefix + name;
                                        emit_failure(context, "tag failed: " + escape_name(key), error);
                                        report.add(bucket::to_json(key, error));
                                      }};
  bucket::TagCounts counts;
  try {
    const ProgressPrinter printer(context, bucket.progress(), "comparing");
    const auto source = bucket.list_source(), destination = bucket.list(bucket.destination());
    const auto journal = bucket.entries();
    counts =
        bucket::tag_deleted(request, *source, *destination, journal.get(), bucket.journal(), bucket.tools(), events,
                            [&](const std::string& name) { emit_mark(bucket, "over_limit", "not marked", name); });
  } catch (...) {
    if (!request.dryrun) bucket.save_journal();
    report.close();
    throw;
  }
  if (!request.dryrun) bucket.save_journal();
  report.close();
  tell_metrics(bucket, where, counts);
  print_summary(bucket, counts, std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started));
  if (counts.marks.failed > 0) return exit_some_failed;
  return counts.marks.left > 0 ? exit_try_again : exit_ok;
}

}  // namespace

int bucket_tag_deleted(Context& context, const BucketTagOptions& options) {
  return run_bucket_command(context, "bucket tag-deleted failed", [&] { return tag(context, options); });
}

}  // namespace bale::cli
