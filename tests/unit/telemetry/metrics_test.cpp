#include "telemetry/metrics.hpp"

#include <gtest/gtest.h>

namespace bale::telemetry {
namespace {

TEST(PrometheusText, NamesAKindOnceAndEscapesLabels) {
  const std::vector<Sample> samples{{"bale_a_total", "How many\nof \\", MetricKind::counter, 12345678901.0},
                                    {"bale_b", "Level", MetricKind::gauge, 0.5, {{"loop", "x"}, {"why", "a\"b\\c\nd"}}},
                                    {"bale_b", "Level", MetricKind::gauge, 1, {{"loop", "y"}}}};
  EXPECT_EQ(to_prometheus_text(samples),
            "# HELP bale_a_total How many\\nof \\\\\n"
            "# TYPE bale_a_total counter\n"
            "bale_a_total 12345678901\n"
            "# HELP bale_b Level\n"
            "# TYPE bale_b gauge\n"
            "bale_b{loop=\"x\",why=\"a\\\"b\\\\c\\nd\"} 0.5\n"
            "bale_b{loop=\"y\"} 1\n");
}

}  // namespace
}  // namespace bale::telemetry
