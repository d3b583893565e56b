// What the services tell the metrics of their work.
#pragma once

#include <string>
#include <vector>

#include "jobs/collect/collector.hpp"
#include "jobs/land/lander.hpp"
#include "jobs/pack/packer.hpp"
#include "telemetry/registry.hpp"

namespace bale::service {

/// What an archive was worth, in US dollars by the configured prices.
struct Worth {
  double saved = 0;  ///< of transfer; less than 0 where the archive is larger than its objects
  double spent = 0;  ///< of processor time
};

/// Where the objects of a batch come from, and go.
struct Route {
  BucketName bucket;
  std::string prefix;           ///< the monitored one
  std::vector<Region> regions;  ///< each once
};

/// A batch was packed, or some of it. `items` are those of `result`, in its order; `worth` is for each archive of it,
/// or empty where no prices are known.
void report_packed(telemetry::Registry& registry, const Route& route, const std::vector<pack::Item>& items,
                   const pack::PackResult& result, const std::vector<Worth>& worth, TimePoint now);
/// A batch could not be packed at all.
void report_unpacked(telemetry::Registry& registry, const Route& route);
/// A batch of the source was collected and worked on; how long its stages took.
void report_batch(telemetry::Registry& registry, Milliseconds pack, Milliseconds settle);

/// An archive landed, perhaps in part, in `took`.
void report_landed(telemetry::Registry& registry, const land::LandResult& result, Milliseconds took);
/// An archive could not be read.
void report_unlanded(telemetry::Registry& registry);

}  // namespace bale::service
