#include "cli/raw_metrics.hpp"

#include <array>

namespace bale::cli {
namespace {

using telemetry::Label;
using telemetry::Metric;
using telemetry::MetricKind;

constexpr Label of_result[] = {{"result", ""}};
constexpr Label of_kind[] = {{"kind", ""}};
/// 1 s to 6 hours.
constexpr double second_buckets[] = {1, 10, 60, 300, 900, 3600, 7200, 21600};

constexpr Metric files_total{MetricKind::counter,
                             "bale_raw_files_total",
                             "",
                             "",
                             "Files by result: copied, in_pool, uploaded, adopted",
                             of_result};
constexpr Metric bytes_total{
    MetricKind::counter, "bale_raw_bytes_total", "", "", "Bytes by result: copied, sent, adopted", of_result};
constexpr Metric runs_total{MetricKind::counter, "bale_raw_runs_total", "", "", "Raw files whose backup succeeded"};
constexpr Metric failures_total{MetricKind::counter,
                                "bale_raw_failures_total",
                                "",
                                "",
                                "Raw files whose backup failed, by the kind of the error",
                                of_kind};
constexpr Metric run_seconds{
    MetricKind::histogram, "bale_raw_run_seconds", "", "", "Duration of a successful backup of one raw file", {},
    second_buckets};

constexpr std::array<const Metric*, 5> all_metrics{&runs_total, &failures_total, &files_total, &bytes_total,
                                                   &run_seconds};

}  // namespace

RawMetrics::RawMetrics() : registry_(all_metrics) {
  registry_.add(runs_total, {}, 0);  // a counter that is not there is no 0
}

void RawMetrics::add(const raw::RunResult& result, Milliseconds took) {
  registry_.add(runs_total, {});
  registry_.observe(run_seconds, {}, static_cast<double>(took.count()) / 1000);
  for (const raw::CopiedFile& file : result.copied) {
    registry_.add(files_total, {file.was_there ? "in_pool" : "copied"});
    if (!file.was_there) registry_.add(bytes_total, {"copied"}, static_cast<double>(file.digests.size));
  }
  if (!result.upload) return;
  registry_.add(files_total, {"uploaded"}, static_cast<double>(result.upload->uploaded));
  registry_.add(files_total, {"adopted"}, static_cast<double>(result.upload->adopted));
  registry_.add(bytes_total, {"sent"}, static_cast<double>(result.upload->sent_bytes));
  registry_.add(bytes_total, {"adopted"}, static_cast<double>(result.upload->adopted_bytes));
}

void RawMetrics::add_failure(const std::string& id, const Error& error) {
  static_cast<void>(id);  // an id a series would be without bound
  registry_.add(failures_total, {std::string(to_string(error.kind()))});
}

void RawMetrics::write(os::Files& files, const std::string& path) const {
  if (path.empty()) return;
  os::write_file_atomically(files, path, as_bytes(registry_.prometheus_text()));
}

}  // namespace bale::cli
