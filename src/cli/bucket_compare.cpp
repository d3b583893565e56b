// bale bucket compare
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/bucket_commands.hpp"
#include "cli/bucket_metrics.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

bucket::CompareRequest request_of(BucketContext& bucket, const BucketOptions& where,
                                  const BucketCompareOptions& options) {
  bucket::CompareRequest request{.left = bucket.source(), .right = bucket.destination()};
  request.listed.level = bucket::parse_level(options.level);
  const bool is_full = request.listed.level == bucket::Level::full;
  if ((options.metadata || options.tags) && !is_full)
    throw Error(ErrorKind::invalid, "--metadata and --tags need --level full", {}, "add --level full");
  request.metadata = options.metadata || !options.tags;
  request.tags = options.tags || !options.metadata;
  if (!where.all) {
    const std::chrono::hours since(where.last_modified_since.value_or(default_last_modified_since));
    request.listed.since = bucket.context().world().clock.now() - since;
  }
  request.is_wanted = bucket.filter();
  return request;
}

/// Prints what is found, and writes the report.
class Findings {
 public:
  Findings(BucketContext& bucket, const BucketCompareOptions& options)
      : context_(bucket.context()),
        prefix_(bucket.source().prefix),
        only_differences_(options.only_differences),
        report_(context_, options.report),
        has_report_(!options.report.empty()) {}

  void add(const bucket::Finding& finding) {
    const bool is_same = finding.evidence.verdict == bucket::Verdict::same;
    if (is_same && (only_differences_ || (!context_.json() && !has_report_))) return;
    Json line;
    if (context_.json() || has_report_) line = bucket::to_json(finding, prefix_);
    if (has_report_) report_.add(line);
    if (context_.json())
      emit_json(context_, line);
    else if (!is_same)
      context_.print(text_of(finding));
    if (finding.failure) emit_failure(context_, "compare failed: " + escape_name(name_of(finding)), *finding.failure);
  }
  void close() { report_.close(); }

 private:
  std::string name_of(const bucket::Finding& finding) const { return prefix_ + std::string(finding.name); }
  std::string text_of(const bucket::Finding& finding) const {
    return fmt::format("{:<8} {}  ({})", bucket::to_string(finding.evidence.verdict), escape_name(name_of(finding)),
                       finding.evidence.by);
  }
  Context& context_;
  const std::string& prefix_;
  const bool only_differences_;
  ReportFile report_;
  const bool has_report_;
};

void print_summary(BucketContext& bucket, const bucket::CompareCounts& counts, Milliseconds elapsed) {
  const bucket::RequestCounts requests = bucket.requests();
  const double dollars = bucket::price_of(requests, bucket.prices("STANDARD"));
  Json summary{{"type", "summary"},
               {"operation", "compare"},
               {"same", counts.same},
               {"differs", counts.differs},
               {"missing", counts.missing},
               {"extra", counts.extra},
               {"unknown", counts.unknown},
               {"failed", counts.failed},
               {"left", {{"objects", counts.left}, {"bytes", counts.left_bytes}}},
               {"right", {{"objects", counts.right}, {"bytes", counts.right_bytes}}}};
  add_requests(summary, requests, dollars, bucket, elapsed);
  const std::uint64_t differences = counts.total() - counts.same;
  emit_lines(bucket.context(), summary,
             fmt::format("{}: {} same, {} differ, {} missing, {} extra, {} unknown\n"
                         "source: {}, {}; destination: {}, {}; in {}\n{}",
                         format_count(differences, "difference"), format_count(counts.same),
                         format_count(counts.differs), format_count(counts.missing), format_count(counts.extra),
                         format_count(counts.unknown), format_count(counts.left, "object"),
                         format_bytes(counts.left_bytes), format_count(counts.right, "object"),
                         format_bytes(counts.right_bytes), format_duration(elapsed), requests_text(requests, dollars)));
}

void tell_metrics(BucketContext& bucket, const BucketOptions& where, const bucket::CompareCounts& counts) {
  BucketMetrics metrics(bucket.context(), where.dimension, where.wants_metrics);
  metrics.set("ObjectsIn" + where.source.bucket.str(), static_cast<double>(counts.left));
  metrics.set("ObjectsIn" + where.destination.bucket.str(), static_cast<double>(counts.right));
  metrics.set("CompareObjectsErrors", static_cast<double>(counts.failed));
  metrics.set("SlowDown", static_cast<double>(bucket.slow_downs()));
  metrics.tell_done("ObjectsToCompare", counts.total() - counts.missing - counts.extra, counts.failed);
}

int compare_buckets(Context& context, const BucketCompareOptions& options) {
  const BucketOptions where = bucket_options(options.arguments, BucketVerb::compare, context.world().environment);
  apply_to(context, where);
  BucketContext bucket(context, where, options.work);
  const bucket::CompareRequest request = request_of(bucket, where, options);
  const auto started = context.world().clock.steady();
  Findings findings(bucket, options);
  bucket::CompareCounts counts;
  {
    const ProgressPrinter printer(context, bucket.progress(), "comparing");
    const auto left = bucket.list_source(), right = bucket.list(bucket.destination());
    const auto journal = bucket.entries();
    counts = bucket::compare(request, *left, *right, journal.get(), bucket.tools(),
                             [&](const bucket::Finding& finding) { findings.add(finding); });
  }
  findings.close();
  tell_metrics(bucket, where, counts);
  print_summary(bucket, counts, std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started));
  return counts.total() == counts.same ? exit_ok : exit_some_failed;
}

}  // namespace

int bucket_compare(Context& context, const BucketCompareOptions& options) {
  return run_bucket_command(context, "bucket compare failed", [&] { return compare_buckets(context, options); });
}

}  // namespace bale::cli
