// What the services count, for Prometheus and CloudWatch, and what /healthz says.
#pragma once

#include <span>
#include <string>

#include "os/process_use.hpp"
#include "service/replication.hpp"
#include "telemetry/registry.hpp"

namespace bale::service {

/// Every metric of the services, in the order in which docs/metrics.md lists them.
std::span<const telemetry::Metric* const> all_metrics() noexcept;

/// In Prometheus's text format: what `registry`, of all_metrics(), holds, and what the other arguments say at this
/// moment, which is put there.
std::string metrics_text(telemetry::Registry& registry, const ReplicationCounts& counts, std::uint64_t in_hand,
                         const std::vector<LoopReport>& loops, const os::ProcessUse& use, const std::string& version);

/// {"status": "ok" | "failing", "loops": [{"name", "healthy", "working", "silent_seconds", "error"}]}. Pure.
std::string health_json(const std::vector<LoopReport>& loops);

}  // namespace bale::service
