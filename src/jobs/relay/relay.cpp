#include "jobs/relay/relay.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "archive/reader.hpp"
#include "base/error.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/copy.hpp"

namespace bale::relay {
namespace {

std::vector<Region> regions_of(const archive::Manifest& manifest) {
  std::vector<Region> regions;
  for (const archive::Target& target : manifest.targets) {
    if (std::find(regions.begin(), regions.end(), target.region) == regions.end()) regions.push_back(target.region);
  }
  return regions;
}

void copy_to_inbound(store::ObjectStore& source, store::ObjectStore& destination, const ObjectAddress& from,
                     const store::ObjectInfo& info, const ObjectAddress& to, flow::ThreadPool& connections,
                     os::World& world) {
  // A relay that died after this copy and before the removal comes here again; landing twice would be harmless but not
  // free.
  const auto there = destination.head(to);
  if (there && there->size == info.size && there->etag == info.etag) return;
  transfer::CopyOptions options;
  options.version_id = info.version_id;
  transfer::copy_object(source, from, destination, to, options, connections, world.stop);
}

}  // namespace

RelayResult relay_archive(const config::Settings& settings, const Region& source_region, const ObjectAddress& archive,
                          const StoreOf& stores, flow::ThreadPool& connections, os::World& world, telemetry::Log& log) {
  RelayResult result;
  store::ObjectStore& source = stores(source_region);
  const auto info = source.head(archive);
  if (!info) return result;
  result.was_there = true;
  result.bytes = info->size;
  const auto bytes = transfer::open_object_source(source, archive);
  result.regions = regions_of(archive::open_archive(*bytes)->manifest());
  for (const Region& region : result.regions) {
    const ObjectAddress to{config::inbound_bucket(settings, region), archive.key};
    copy_to_inbound(source, stores(region), archive, *info, to, connections, world);
  }
  source.remove(archive);
  std::vector<std::string> names;
  for (const Region& region : result.regions) names.push_back(region.str());
  log.info(
      "relay.done", "relayed an archive",
      {{"archive", to_uri(archive)}, {"regions", fmt::format("{}", fmt::join(names, ","))}, {"bytes", info->size}});
  return result;
}

}  // namespace bale::relay
