// Amazon's embedded metric format: lines of JSON among a program's logs, out of which CloudWatch makes metrics.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "telemetry/registry.hpp"

namespace bale::telemetry {

/// One line for each set of dimensions and their values, without the line end. What CloudWatch could not take is left
/// out: values that are no numbers. `name_space` is the metrics' namespace, of 1 to 255 characters. Pure.
/// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
std::vector<std::string> to_emf_lines(std::span<const Registry::Change> changes, const std::string& name_space,
                                      TimePoint now);

}  // namespace bale::telemetry
