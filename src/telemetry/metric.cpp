#include "telemetry/metric.hpp"

#include <fmt/format.h>

#include <iterator>

namespace bale::telemetry {
namespace {

std::string quoted(std::string_view text) { return text.empty() ? "-" : fmt::format("`{}`", text); }

/// The names that the labels have there.
std::string list_of(std::span<const Label> labels, std::string_view Label::*part) {
  std::string text;
  for (const Label& label : labels) {
    if (!(label.*part).empty()) text += (text.empty() ? "" : ", ") + quoted(label.*part);
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::string_view to_string(MetricKind kind) noexcept {
  switch (kind) {
    case MetricKind::counter: return "counter";
    case MetricKind::gauge: return "gauge";
    case MetricKind::histogram: break;
  }
  return "histogram";
}

std::string to_markdown(std::span<const Metric* const> metrics) {
  std::string text =
      "| Prometheus | labels | CloudWatch | dimensions | unit | kind | what it is |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Metric* definition : metrics) {
    const Metric& metric = *definition;
    fmt::format_to(std::back_inserter(text), "| {} | {} | {} | {} | {} | {} | {} |\n", quoted(metric.name),
                   metric.name.empty() ? "-" : list_of(metric.labels, &Label::name), quoted(metric.cloudwatch_name),
                   metric.cloudwatch_name.empty() ? "-" : list_of(metric.labels, &Label::dimension),
                   metric.cloudwatch_name.empty() ? "-" : std::string(metric.unit), to_string(metric.kind),
                   metric.help);
  }
  return text;
}

}  // namespace bale::telemetry
