#include "service/metrics.hpp"

#include <nlohmann/json.hpp>

#include "service/metric_table.hpp"

namespace bale::service {
namespace {

constexpr const telemetry::Metric* table[] = {
    &metric::build_info,
    &metric::held_messages,
    &metric::failing_items,
    &metric::loop_healthy,
    &metric::processing_seconds,
    &metric::stage_seconds,
    &metric::packed_objects,
    &metric::packed_object_bytes,
    &metric::packed_archives,
    &metric::packed_archive_bytes,
    &metric::packed_deletions,
    &metric::gone_objects,
    &metric::source_objects,
    &metric::skipped_objects,
    &metric::object_size,
    &metric::object_latency,
    &metric::compression_seconds,
    &metric::compression_ratio,
    &metric::transfer_efficiency,
    &metric::compression_throughput,
    &metric::original_size,
    &metric::compressed_size,
    &metric::saved_bytes,
    &metric::failed_downloads,
    &metric::failed_metadata,
    &metric::failed_uploads,
    &metric::compression_level,
    &metric::compute_cost,
    &metric::transfer_savings,
    &metric::net_benefit,
    &metric::benefit_score,
    &metric::relayed_archives,
    &metric::landed_archives,
    &metric::landed_objects,
    &metric::kept_objects,
    &metric::stored_backups,
    &metric::arrived_size,
    &metric::landed_size,
    &metric::decompression_ratio,
    &metric::decompression_seconds,
    &metric::object_restore_seconds,
    &metric::failed_decompressions,
    &metric::failed_target_uploads,
    &metric::backup_success,
    &metric::catalog_success,
    &metric::backup_size,
    &metric::cpu_seconds,
    &metric::resident_bytes,
    &metric::open_files,
    &metric::threads,
};

}  // namespace

std::span<const telemetry::Metric* const> all_metrics() noexcept { return table; }

std::string metrics_text(telemetry::Registry& registry, const ReplicationCounts& counts, std::uint64_t in_hand,
                         const std::vector<LoopReport>& loops, const os::ProcessUse& use, const std::string& version) {
  const auto set = [&](const telemetry::Metric& metric, const auto& value) {
    registry.set(metric, {}, static_cast<double>(value));
  };
  registry.set(metric::build_info, {version}, 1);
  set(metric::packed_objects, counts.objects_packed);
  set(metric::packed_object_bytes, counts.object_bytes);
  set(metric::packed_archives, counts.archives);
  set(metric::packed_archive_bytes, counts.archive_bytes);
  set(metric::packed_deletions, counts.deletions_packed);
  set(metric::gone_objects, counts.objects_gone);
  set(metric::relayed_archives, counts.archives_relayed);
  set(metric::landed_archives, counts.archives_landed);
  set(metric::landed_objects, counts.objects_landed);
  set(metric::kept_objects, counts.objects_kept);
  set(metric::stored_backups, counts.backups);
  set(metric::failing_items, counts.failures);
  set(metric::held_messages, in_hand);
  for (const LoopReport& loop : loops) registry.set(metric::loop_healthy, {loop.name}, loop.healthy ? 1 : 0);
  set(metric::cpu_seconds, use.processor_time.count());
  set(metric::resident_bytes, use.resident_bytes);
  set(metric::open_files, use.open_files);
  set(metric::threads, use.threads);
  return registry.prometheus_text();
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
