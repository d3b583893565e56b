#include "cli/bucket_metrics.hpp"

#include <deque>

#include "base/error.hpp"
#include "telemetry/emf.hpp"

namespace bale::cli {

std::vector<std::string> recovery_metric_lines(const std::map<std::string, double>& values,
                                               const std::string& dimension, TimePoint now) {
  const telemetry::Label label{"", dimension};
  std::deque<telemetry::Metric> metrics;  // they stay where they are
  std::vector<telemetry::Registry::Change> changes;
  for (const auto& [name, value] : values) {
    metrics.push_back({telemetry::MetricKind::gauge, "", name, "Count", "", {&label, 1}});
    changes.push_back({&metrics.back(), {name}, {value}});
  }
  return telemetry::to_emf_lines(changes, recovery_namespace, now);
}

BucketMetrics::BucketMetrics(Context& context, std::string dimension, bool is_on)
    : context_(context), dimension_(std::move(dimension)), is_on_(is_on), flushed_(context.world().clock.steady()) {}

void BucketMetrics::set(const std::string& name, double value) {
  const Lock lock(mutex_);
  values_[name] = value;
}

void BucketMetrics::add(const std::string& name, double amount) {
  const Lock lock(mutex_);
  values_[name] += amount;
}

void BucketMetrics::tell_done(const std::string& name, std::uint64_t found, std::uint64_t left) {
  set(name, static_cast<double>(found));
  flush();
  set(name, static_cast<double>(left));
  flush();
}

void BucketMetrics::flush() {
  std::map<std::string, double> values;
  {
    const Lock lock(mutex_);
    values.swap(values_);
    flushed_ = context_.world().clock.steady();
  }
  write(values);
}

void BucketMetrics::flush_if_due() {
  {
    const Lock lock(mutex_);
    if (context_.world().clock.steady() - flushed_ < std::chrono::minutes(1)) return;
  }
  flush();
}

void BucketMetrics::write(const std::map<std::string, double>& values) {
  if (!is_on_) return;
  try {
    for (const std::string& line : recovery_metric_lines(values, dimension_, context_.world().clock.now()))
      context_.world().terminal.out(line + "\n");
  } catch (const Error& error) {  // the run goes on without metrics
    context_.log().warning("bucket.emf", error.what());
  }
}

}  // namespace bale::cli
