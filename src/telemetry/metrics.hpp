// Numbers that people and machines watch, in Prometheus's text format.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bale::telemetry {

enum class MetricKind {
  counter,  ///< only grows, from 0 at the start of the process; its name ends in _total
  gauge,
};

/// One value at one moment.
struct Sample {
  std::string_view name;  ///< "bale_packed_objects_total": base units, the unit in the name
  std::string_view help;  ///< one sentence without its full stop
  MetricKind kind = MetricKind::counter;
  double value = 0;
  std::vector<std::pair<std::string_view, std::string>> labels{};
};

/// The text format, version 0.0.4: samples of one name stand together in `samples`.
/// https://prometheus.io/docs/instrumenting/exposition_formats/
std::string to_prometheus_text(std::span<const Sample> samples);

inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace bale::telemetry
