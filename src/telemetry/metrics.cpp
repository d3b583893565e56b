#include "telemetry/metrics.hpp"

#include <fmt/format.h>

#include <iterator>

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

std::string label_text(const Sample& sample) {
  std::string text;
  for (const auto& [name, value] : sample.labels)
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escape(value, true));
  return text.empty() ? text : "{" + text + "}";
}

}  // namespace

std::string to_prometheus_text(std::span<const Sample> samples) {
  std::string text;
  std::string_view last_name;
  for (const Sample& sample : samples) {
    if (sample.name != last_name) {
      fmt::format_to(std::back_inserter(text), "# HELP {} {}\n# TYPE {} {}\n", sample.name, escape(sample.help, false),
                     sample.name, sample.kind == MetricKind::counter ? "counter" : "gauge");
      last_name = sample.name;
    }
    fmt::format_to(std::back_inserter(text), "{}{} {}\n", sample.name, label_text(sample), sample.value);
  }
  return text;
}

}  // namespace bale::telemetry
