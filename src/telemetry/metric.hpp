// What a number that people and machines watch is called, and what it means: for every exporter the same.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bale::telemetry {

enum class MetricKind {
  counter,    ///< only grows, from 0 at the start of the process
  gauge,      ///< the newest value counts
  histogram,  ///< how many values of which size there were
};

/// What tells the series of a metric apart.
struct Label {
  std::string_view name;       ///< in Prometheus: "source_bucket"
  std::string_view dimension;  ///< in CloudWatch: "SourceBucket"
};

/// The definition of a metric. Definitions are constants; everything that they view is, too.
struct Metric {
  MetricKind kind = MetricKind::counter;
  /// In Prometheus: base units, the unit in the name, a counter's ends in _total. Empty: CloudWatch alone has it.
  /// https://prometheus.io/docs/practices/naming/
  std::string_view name;
  /// In CloudWatch. Empty: Prometheus alone has it.
  std::string_view cloudwatch_name;
  /// CloudWatch's word for the unit: "Bytes", "Seconds", "Count", "None", ...
  /// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
  std::string_view unit;
  std::string_view help;  ///< one sentence without its full stop
  std::span<const Label> labels{};
  std::span<const double> buckets{};  ///< upper bounds, ascending; of a histogram that Prometheus has
};

/// "counter", "gauge", "histogram".
std::string_view to_string(MetricKind kind) noexcept;

/// A table in Markdown with a line for each metric, as docs/metrics.md has it. Pure.
std::string to_markdown(std::span<const Metric* const> metrics);

}  // namespace bale::telemetry
