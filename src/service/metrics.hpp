// What /metrics and /healthz of a service say.
#pragma once

#include <string>

#include "os/process_use.hpp"
#include "service/replication.hpp"

namespace bale::service {

/// In Prometheus's text format; docs/services.md explains each. Pure.
std::string metrics_text(const ReplicationCounts& counts, std::uint64_t in_hand, const std::vector<LoopReport>& loops,
                         const os::ProcessUse& use, const std::string& version);

/// {"status": "ok" | "failing", "loops": [{"name", "healthy", "working", "silent_seconds", "error"}]}. Pure.
std::string health_json(const std::vector<LoopReport>& loops);

}  // namespace bale::service
