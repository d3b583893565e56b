// bale bucket backup --versions
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/bucket_commands.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/backup_versions.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

void emit_version(BucketContext& bucket, const std::string& name, const store::ListedVersion& version) {
  Context& context = bucket.context();
  const bool dryrun = context.options().dryrun;
  const std::string from = to_uri(bucket.source().at(name)), to = to_uri(bucket.destination().at(name));
  Json line{{"type", dryrun ? "dryrun" : "copied"}};
  add_name(line, "source", from);
  add_name(line, "destination", to);
  line["version_id"] = version.version_id.str();
  line["delete_marker"] = version.is_delete_marker;
  line["bytes"] = version.size;
  emit(context, line,
       fmt::format("{}{}: {} ({}) to {}", dryrun ? "(dryrun) " : "", version.is_delete_marker ? "delete" : "copy",
                   escape_name(from), version.version_id.str(), escape_name(to)));
}

void print_summary(BucketContext& bucket, const bucket::VersionCounts& counts, const std::string& storage_class,
                   Milliseconds elapsed) {
  const bucket::RequestCounts requests = bucket.requests();
  const double dollars = bucket::price_of(requests, bucket.prices(storage_class));
  const bool dryrun = bucket.context().options().dryrun;
  Json summary{{"type", "summary"},           {"operation", "backup"},
               {"versions", counts.versions}, {"dryrun", dryrun},
               {"sources", counts.keys},      {"current", counts.current},
               {"copied", counts.copied},     {"delete_markers", counts.markers},
               {"bytes", counts.bytes},       {"gone", counts.gone},
               {"failed", counts.failed}};
  add_requests(summary, requests, dollars, bucket, elapsed);
  emit_lines(bucket.context(), summary,
             fmt::format("{}{} copied and {} made, {} in {}; {} of {} current{}\n{}", dryrun ? "(dryrun) " : "",
                         format_count(counts.copied, "version"), format_count(counts.markers, "delete marker"),
                         format_bytes(counts.bytes), format_duration(elapsed), format_count(counts.current),
                         format_count(counts.keys, "key"),
                         counts.failed > 0 ? fmt::format(", {} failed", format_count(counts.failed)) : "",
                         requests_text(requests, dollars)));
}

}  // namespace

int bucket_backup_versions(BucketContext& bucket, const BucketBackupOptions& options, const bucket::CopyRules& copies) {
  Context& context = bucket.context();
  const bucket::VersionRequest request{.source = bucket.source(),
                                       .destination = bucket.destination(),
                                       .copies = copies,
                                       .dryrun = context.options().dryrun,
                                       .is_wanted = bucket.filter()};
  bucket::JournalKeeper& keeper = bucket.journal(/*versions=*/true);
  ReportFile report(context, options.report);
  const bucket::VersionEvents events{
      .copied = [&](const std::string& name,
                    const store::ListedVersion& version) { emit_version(bucket, name, version); },
      .failed =
          [&](const std::string& name, const Error& error) {
            const std::string key = bucket.source().prefix + name;
            emit_failure(context, "copy failed: " + escape_name(key), error);
            report.add(bucket::to_json(key, error));
          }};
  bucket::VersionCounts counts;
  const auto started = context.world().clock.steady();
  const auto end = [&] {
    if (!request.dryrun) bucket.save_journal();
    report.close();
    print_summary(bucket, counts, copies.storage_class,
                  std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started));
  };
  try {
    const ProgressPrinter printer(context, bucket.progress(), "copying");
    const auto source = bucket.list_versions(bucket.source()), copied = bucket.list_versions(bucket.destination());
    const auto journal = bucket.entries();
    bucket::back_up_versions(request, *source, *copied, journal.get(), keeper, bucket.limit(), bucket.tools(), events,
                             counts);
  } catch (...) {
    end();
    throw;
  }
  end();
  return counts.failed > 0 ? exit_some_failed : exit_ok;
}

}  // namespace bale::cli
