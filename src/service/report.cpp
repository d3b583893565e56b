#include "service/report.hpp"

#include <algorithm>

#include "service/metric_table.hpp"

namespace bale::service {
namespace {

using telemetry::LabelValues;

double seconds(Milliseconds time) { return std::chrono::duration<double>(time).count(); }
double number(ByteCount bytes) { return static_cast<double>(bytes); }

/// "root" is what the dashboards know for a rule without a prefix.
LabelValues source_of(const Route& route) { return {route.bucket.str(), route.prefix.empty() ? "root" : route.prefix}; }

void report_archive(telemetry::Registry& registry, const Route& route, const pack::PackedArchive& archive,
                    const Worth* worth) {
  const LabelValues source = source_of(route);
  const double before = number(archive.object_bytes), after = number(archive.archive_bytes);
  const double took = seconds(archive.duration);
  registry.observe(metric::compression_seconds, source, took);
  registry.observe(metric::compression_level, source, archive.level);
  if (after > 0) registry.observe(metric::compression_ratio, source, before / after);
  if (before > 0) registry.observe(metric::transfer_efficiency, source, 100 * (1 - after / before));
  if (took > 0) registry.observe(metric::compression_throughput, source, before / took / 1e6);
  for (const Region& region : route.regions) {
    LabelValues way = source;
    way.push_back(region.str());
    registry.add(metric::original_size, way, before);
    registry.add(metric::compressed_size, way, after);
    registry.observe(metric::saved_bytes, way, before - after);
  }
  if (worth == nullptr) return;
  registry.observe(metric::transfer_savings, source, worth->saved);
  registry.add(metric::compute_cost, source, worth->spent);
  registry.observe(metric::net_benefit, source, worth->saved - worth->spent);
  if (before > 0) registry.observe(metric::benefit_score, source, (worth->saved - worth->spent) / (before / (1 << 30)));
}

}  // namespace

void report_packed(telemetry::Registry& registry, const Route& route, const std::vector<pack::Item>& items,
                   const pack::PackResult& result, const std::vector<Worth>& worth, TimePoint now) {
  const LabelValues source = source_of(route);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const pack::ItemResult& fate = result.items[i];
    if (fate.fate == pack::Fate::gone) {
      registry.add(metric::skipped_objects, source);
    } else if (fate.fate == pack::Fate::failed) {
      registry.add(fate.attributes_failed ? metric::failed_metadata : metric::failed_downloads, source);
    } else if (fate.fate == pack::Fate::packed) {
      registry.add(metric::source_objects, source);
      registry.observe(metric::object_size, source, number(items[i].size));
      // An event without a time, or from a clock that is ahead, says nothing about latency.
      if (items[i].time > TimePoint{} && items[i].time <= now) {
        const auto latency = std::chrono::duration_cast<Milliseconds>(now - items[i].time);
        registry.observe(metric::object_latency, source, seconds(latency));
      }
    }
  }
  for (std::size_t i = 0; i < result.archives.size(); ++i)
    report_archive(registry, route, result.archives[i], i < worth.size() ? &worth[i] : nullptr);
}

void report_unpacked(telemetry::Registry& registry, const Route& route) {
  registry.add(metric::failed_uploads, source_of(route));
}

void report_batch(telemetry::Registry& registry, Milliseconds pack, Milliseconds settle) {
  registry.observe(metric::processing_seconds, {"source"}, seconds(pack + settle));
  registry.observe(metric::stage_seconds, {"source", "pack"}, seconds(pack));
  registry.observe(metric::stage_seconds, {"source", "settle"}, seconds(settle));
}

void report_landed(telemetry::Registry& registry, const land::LandResult& result, Milliseconds took) {
  if (!result.was_there) return;
  registry.observe(metric::processing_seconds, {"target"}, seconds(took));
  registry.observe(metric::stage_seconds, {"target", "land"}, seconds(took));
  const double archive = number(result.archive_bytes), objects = number(result.object_bytes);
  for (const BucketName& bucket : result.object_buckets) {
    const LabelValues target{bucket.str()};
    registry.add(metric::arrived_size, target, archive);
    registry.add(metric::landed_size, target, objects);
    if (archive > 0 && objects > 0) registry.observe(metric::decompression_ratio, target, objects / archive);
    registry.observe(metric::decompression_seconds, target, seconds(result.objects_took));
    if (result.objects_written > 0) {
      registry.observe(metric::object_restore_seconds, target,
                       seconds(result.objects_took) / static_cast<double>(result.objects_written));
    }
  }
  for (const BucketName& bucket : result.backup_buckets) {
    registry.observe(metric::backup_success, {bucket.str()}, 1);
    registry.observe(metric::backup_size, {bucket.str()}, archive);
  }
  bool catalog_failed = false;
  for (const land::LandFailure& failure : result.failures) {
    const auto& normal = result.object_buckets;
    if (failure.bucket.empty()) continue;
    catalog_failed |= failure.bucket == result.catalog;
    if (failure.bucket == result.catalog) continue;
    registry.add(metric::failed_target_uploads, {failure.bucket.str()});
    if (std::find(normal.begin(), normal.end(), failure.bucket) == normal.end())
      registry.observe(metric::backup_success, {failure.bucket.str()}, 0);
  }
  if (!result.catalog.empty())
    registry.observe(metric::catalog_success, {result.catalog.str()}, catalog_failed ? 0 : 1);
}

void report_unlanded(telemetry::Registry& registry) { registry.add(metric::failed_decompressions, {"target"}); }

}  // namespace bale::service
