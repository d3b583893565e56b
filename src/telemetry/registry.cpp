#include "telemetry/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.hpp"

namespace bale::telemetry {
namespace {

/// Of a help text or, with `quotes`, a label's value.
std::string escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\')
      escaped += "\\\\";
    else if (c == '\n')
      escaped += "\\n";
    else if (c == '"' && quotes)
      escaped += "\\\"";
    else
      escaped += c;
  }
  return escaped;
}

/// "{bucket=\"b\",le=\"10\"}"; empty without labels.
std::string label_text(const Metric& metric, const LabelValues& values, std::string_view bound = {}) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escape(value, true));
  };
  for (std::size_t i = 0; i < metric.labels.size(); ++i) add(metric.labels[i].name, values[i]);
  if (!bound.empty()) add("le", bound);
  return text.empty() ? text : "{" + text + "}";
}

template <typename Series>
void write_histogram(std::string& text, const Metric& metric, const LabelValues& labels, const Series& series) {
  const auto out = std::back_inserter(text);
  double below = 0;
  for (std::size_t i = 0; i < metric.buckets.size(); ++i) {
    below += series.in_bucket[i];
    fmt::format_to(out, "{}_bucket{} {}\n", metric.name,
                   label_text(metric, labels, fmt::format("{}", metric.buckets[i])), below);
  }
  fmt::format_to(out, "{}_bucket{} {}\n", metric.name, label_text(metric, labels, "+Inf"), series.count);
  fmt::format_to(out, "{}_sum{} {}\n", metric.name, label_text(metric, labels), series.sum);
  fmt::format_to(out, "{}_count{} {}\n", metric.name, label_text(metric, labels), series.count);
}

}  // namespace

void ValueSample::add(double value) {
  least_ = seen_ == 0 ? value : std::min(least_, value);
  largest_ = seen_ == 0 ? value : std::max(largest_, value);
  ++seen_;
  if (values_.size() < most) {
    values_.push_back(value);
    return;
  }
  // Reservoir sampling (Vitter's algorithm R) with xorshift64.
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  const std::uint64_t place = state_ % seen_;
  if (place < most) values_[place] = value;
}

std::vector<double> ValueSample::take() {
  std::vector<double> values = std::exchange(values_, {});
  std::sort(values.begin(), values.end());
  if (seen_ > most) {
    values.front() = least_;
    values.back() = largest_;
  }
  seen_ = 0;
  return values;
}

struct Registry::Series {
  double total = 0;                 ///< of a counter or gauge
  double count = 0, sum = 0;        ///< of a histogram
  std::vector<double> in_bucket{};  ///< of a histogram: values in each bucket, and beyond the last
  double told = 0;                  ///< the total when it was last taken
  bool is_new = false;              ///< set since it was last taken
  ValueSample sample{};             ///< of a histogram
};

Registry::~Registry() = default;

Registry::Registry(std::span<const Metric* const> metrics) : metrics_(metrics) {
  for (const Metric* metric : metrics) all_[metric];
}

Registry::Series& Registry::series(const Metric& metric, const LabelValues& labels) {
  const auto known = all_.find(&metric);
  if (known == all_.end() || labels.size() != metric.labels.size())
    throw Error(ErrorKind::internal, "a metric that is not registered, or not with these labels",
                std::string(metric.name.empty() ? metric.cloudwatch_name : metric.name));
  AllSeries& all = known->second;
  const auto found = all.find(labels);
  if (found != all.end()) return found->second;
  const bool fits = all.size() < most_series;
  Series& made = all[fits ? labels : LabelValues(labels.size(), "other")];
  made.in_bucket.resize(metric.buckets.size() + 1, 0);
  return made;
}

void Registry::add(const Metric& metric, const LabelValues& labels, double amount) {
  const Lock lock(mutex_);
  series(metric, labels).total += amount;
}

void Registry::set(const Metric& metric, const LabelValues& labels, double value) {
  const Lock lock(mutex_);
  Series& found = series(metric, labels);
  found.total = value;
  found.is_new = true;
}

void Registry::observe(const Metric& metric, const LabelValues& labels, double value) {
  const Lock lock(mutex_);
  Series& found = series(metric, labels);
  found.count += 1;
  found.sum += value;
  const auto bucket = std::lower_bound(metric.buckets.begin(), metric.buckets.end(), value);
  found.in_bucket[static_cast<std::size_t>(bucket - metric.buckets.begin())] += 1;
  if (!metric.cloudwatch_name.empty()) found.sample.add(value);
}

std::vector<Registry::Change> Registry::take_changes() {
  std::vector<Change> changes;
  const Lock lock(mutex_);
  for (const Metric* definition : metrics_) {
    const Metric& metric = *definition;
    if (metric.cloudwatch_name.empty()) continue;
    for (auto& [labels, series] : all_.at(definition)) {
      std::vector<double> values;
      if (metric.kind == MetricKind::histogram)
        values = series.sample.take();
      else if (metric.kind == MetricKind::gauge && series.is_new)
        values = {series.total};
      else if (metric.kind == MetricKind::counter && series.total != series.told)
        values = {series.total - series.told};
      series.told = series.total;
      series.is_new = false;
      if (!values.empty()) changes.push_back({&metric, labels, std::move(values)});
    }
  }
  return changes;
}

std::string Registry::prometheus_text() const {
  std::string text;
  const auto out = std::back_inserter(text);
  const Lock lock(mutex_);
  for (const Metric* definition : metrics_) {
    const Metric& metric = *definition;
    const AllSeries& all = all_.at(definition);
    if (metric.name.empty() || all.empty()) continue;
    fmt::format_to(out, "# HELP {} {}\n# TYPE {} {}\n", metric.name, escape(metric.help, false), metric.name,
                   to_string(metric.kind));
    for (const auto& [labels, series] : all) {
      if (metric.kind == MetricKind::histogram)
        write_histogram(text, metric, labels, series);
      else
        fmt::format_to(out, "{}{} {}\n", metric.name, label_text(metric, labels), series.total);
    }
  }
  return text;
}

}  // namespace bale::telemetry
