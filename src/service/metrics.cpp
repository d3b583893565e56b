#include "service/metrics.hpp"

#include <nlohmann/json.hpp>

#include "telemetry/metrics.hpp"

namespace bale::service {

using telemetry::MetricKind;
using telemetry::Sample;

std::string metrics_text(const ReplicationCounts& counts, std::uint64_t in_hand, const std::vector<LoopReport>& loops,
                         const os::ProcessUse& use, const std::string& version) {
  std::vector<Sample> samples;
  const auto counter = [&](std::string_view name, std::string_view help, double value) {
    samples.push_back({name, help, MetricKind::counter, value});
  };
  const auto gauge = [&](std::string_view name, std::string_view help, double value) {
    samples.push_back({name, help, MetricKind::gauge, value});
  };
  const auto number = [](const auto& count) { return static_cast<double>(count); };
  samples.push_back({"bale_build_info", "Which Bale this is", MetricKind::gauge, 1, {{"version", version}}});
  counter("bale_packed_objects_total", "Objects packed into archives that are durable", number(counts.objects_packed));
  counter("bale_packed_object_bytes_total", "Bytes of the objects packed", number(counts.object_bytes));
  counter("bale_packed_archives_total", "Archives written to the outbound bucket", number(counts.archives));
  counter("bale_packed_archive_bytes_total", "Bytes of the archives written", number(counts.archive_bytes));
  counter("bale_packed_deletions_total", "Deletions recorded in archives", number(counts.deletions_packed));
  counter("bale_gone_objects_total", "Objects that were gone before they were read", number(counts.objects_gone));
  counter("bale_relayed_archives_total", "Archives brought to inbound buckets", number(counts.archives_relayed));
  counter("bale_landed_archives_total", "Archives whose every target is durable", number(counts.archives_landed));
  counter("bale_landed_objects_total", "Objects written at destinations", number(counts.objects_landed));
  counter("bale_kept_objects_total", "Objects not written because the destination has as new a version",
          number(counts.objects_kept));
  counter("bale_stored_backups_total", "Archives stored in backup buckets", number(counts.backups));
  gauge("bale_failing_items", "Objects, archives and messages whose newest attempt failed", number(counts.failures));
  gauge("bale_held_messages", "Messages that are being worked on", number(in_hand));
  for (const LoopReport& loop : loops) {
    samples.push_back({"bale_loop_healthy",
                       "Whether the loop's queue answered lately, or the loop works",
                       MetricKind::gauge,
                       loop.healthy ? 1.0 : 0.0,
                       {{"loop", loop.name}}});
  }
  counter("process_cpu_seconds_total", "Processor time, user and system", use.processor_time.count());
  gauge("process_resident_memory_bytes", "Resident memory", number(use.resident_bytes));
  gauge("process_open_fds", "Open file descriptors", number(use.open_files));
  gauge("process_threads", "Threads", number(use.threads));
  return telemetry::to_prometheus_text(samples);
}

std::string health_json(const std::vector<LoopReport>& loops) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const LoopReport& loop : loops) {
    list.push_back({{"name", loop.name},
                    {"healthy", loop.healthy},
                    {"working", loop.working},
                    {"silent_seconds", loop.silent.count()},
                    {"error", loop.error}});
  }
  return nlohmann::ordered_json{{"status", all_healthy(loops) ? "ok" : "failing"}, {"loops", list}}.dump() + "\n";
}

}  // namespace bale::service
