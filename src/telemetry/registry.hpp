// The numbers of this process, as they stand.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "telemetry/metric.hpp"

namespace bale::telemetry {

/// Values of a metric's labels, in the order of its definition.
using LabelValues = std::vector<std::string>;

/// Values that were seen since they were last taken: all of them, or, of more than `most`, a fair sample that has the
/// smallest and the largest.
class ValueSample {
 public:
  /// What CloudWatch takes of one metric in one document.
  static constexpr std::size_t most = 100;
  void add(double value);
  /// The values, ascending; none are left.
  std::vector<double> take();

 private:
  std::vector<double> values_;
  double least_ = 0, largest_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t state_ = 0x9E3779B97F4A7C15;  // of a generator: which values are kept need not be unpredictable
};

/// All metrics of a process. Thread-safe. A metric has at most 1,000 series: where its labels have more values than
/// that (names in archives come from elsewhere), the rest are counted as "other".
class Registry {
 public:
  static constexpr std::size_t most_series = 1000;
  /// Borrows the definitions, in the order in which they are told; all calls are about one of them.
  explicit Registry(std::span<const Metric* const> metrics);
  ~Registry();

  /// Lets a counter grow.
  void add(const Metric& metric, const LabelValues& labels, double amount = 1);
  /// Gives a gauge its value, or a counter that is kept elsewhere its total.
  void set(const Metric& metric, const LabelValues& labels, double value);
  /// Adds a value to a histogram.
  void observe(const Metric& metric, const LabelValues& labels, double value);

  /// What changed in CloudWatch's eyes: of a metric with a name there, one series with the growth of the counter, the
  /// value of the gauge, or the values of the histogram.
  struct Change {
    const Metric* metric;
    LabelValues labels;
    std::vector<double> values;  ///< one, but for a histogram
  };
  /// Everything that changed since the last call.
  std::vector<Change> take_changes();

  /// In Prometheus's text format, version 0.0.4.
  /// https://prometheus.io/docs/instrumenting/exposition_formats/
  std::string prometheus_text() const;

 private:
  struct Series;
  using AllSeries = std::map<LabelValues, Series>;
  Series& series(const Metric& metric, const LabelValues& labels) BALE_REQUIRES(mutex_);
  const std::span<const Metric* const> metrics_;
  mutable Mutex mutex_;
  std::map<const Metric*, AllSeries> all_ BALE_GUARDED_BY(mutex_);
};

inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace bale::telemetry
