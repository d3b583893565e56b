#include "telemetry/emf.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::telemetry {
namespace {

using Json = nlohmann::ordered_json;

/// Metrics of one line, by the specification.
constexpr std::size_t most_metrics_a_line = 100;
/// Characters of a dimension's value, by the specification.
constexpr std::size_t most_value_bytes = 1024;

/// Names and values of a line's dimensions.
using Dimensions = std::vector<std::pair<std::string, std::string>>;

Dimensions dimensions_of(const Registry::Change& change) {
  Dimensions dimensions;
  for (std::size_t i = 0; i < change.labels.size(); ++i) {
    // CloudWatch takes no empty value, and what is not UTF-8 would be no JSON.
    std::string value = escape_name(change.labels[i]).substr(0, most_value_bytes);
    dimensions.emplace_back(change.metric->labels[i].dimension, value.empty() ? "-" : std::move(value));
  }
  return dimensions;
}

Json values_of(const Registry::Change& change) {
  Json values = Json::array();
  for (const double value : change.values) {
    if (std::isfinite(value)) values.push_back(value);
  }
  return values.size() == 1 ? Json(values[0]) : values;
}

std::string line_of(const Dimensions& dimensions, std::span<const Registry::Change* const> changes,
                    const std::string& name_space, TimePoint now) {
  Json names = Json::array(), metrics = Json::array();
  Json line;
  line["_aws"] = nullptr;  // first in the line
  for (const auto& [name, value] : dimensions) {
    names.push_back(name);
    line[name] = value;
  }
  for (const Registry::Change* change : changes) {
    Json values = values_of(*change);
    if (values.is_array() && values.empty()) continue;
    const std::string name(change->metric->cloudwatch_name);
    metrics.push_back({{"Name", name}, {"Unit", std::string(change->metric->unit)}});
    line[name] = std::move(values);
  }
  Json directive{{"Namespace", name_space}, {"Dimensions", Json::array({names})}, {"Metrics", metrics}};
  line["_aws"] = {{"Timestamp", to_epoch_ms(now)}, {"CloudWatchMetrics", Json::array({directive})}};
  return escape_json(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::vector<std::string> to_emf_lines(std::span<const Registry::Change> changes, const std::string& name_space,
                                      TimePoint now) {
  std::map<Dimensions, std::vector<const Registry::Change*>> groups;
  for (const Registry::Change& change : changes) groups[dimensions_of(change)].push_back(&change);
  std::vector<std::string> lines;
  for (const auto& [dimensions, group] : groups) {
    for (std::size_t first = 0; first < group.size(); first += most_metrics_a_line) {
      const auto some = std::span(group).subspan(first, std::min(most_metrics_a_line, group.size() - first));
      lines.push_back(line_of(dimensions, some, name_space, now));
    }
  }
  return lines;
}

}  // namespace bale::telemetry
