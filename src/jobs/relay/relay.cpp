#include "jobs/relay/relay.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "archive/manifest_sources.hpp"
#include "archive/reader.hpp"
#include "archive/same_archive.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "config/permitted.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/copy.hpp"

namespace bale::relay {
namespace {

/// The regions that a manifest names.
struct Regions {
  std::vector<Region> configured;
  std::vector<const archive::Target*> refused;  ///< the first target of each region that is not configured
};

Regions regions_of(const archive::Manifest& manifest, const std::vector<const config::Rule*>& rules) {
  Regions regions;
  std::vector<Region> seen;
  for (const archive::Target& target : manifest.targets) {
    if (std::find(seen.begin(), seen.end(), target.region) != seen.end()) continue;
    seen.push_back(target.region);
    const bool is_configured = std::any_of(rules.begin(), rules.end(), [&](const config::Rule* rule) {
      return std::any_of(rule->destinations.begin(), rule->destinations.end(),
                         [&](const config::Destination& destination) { return destination.region == target.region; });
    });
    if (is_configured)
      regions.configured.push_back(target.region);
    else
      regions.refused.push_back(&target);
  }
  return regions;
}

// An archive that names a region which is not configured stays in the outbound bucket, and its message comes back
// several times. Its tag names the regions that have got it: there it may have landed, and would land again.
constexpr const char* relayed_tag = "bale-relayed";
constexpr std::size_t most_tag_value = 256;  // of S3

/// Returns the regions that have got an archive which stays; none where its tags cannot be read.
std::vector<std::string> relayed_regions(store::ObjectStore& store, const ObjectAddress& archive) {
  std::vector<std::string> regions;
  try {
    const store::Tags tags = store.get_tags(archive);
    const auto found = tags.find(relayed_tag);
    if (found == tags.end()) return regions;
    for (const std::string_view region : split(found->second, ' ')) regions.emplace_back(region);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
  }
  return regions;
}

/// Notes the regions that have got the archive. Where no tags can be written they get it again, which changes nothing
/// there.
void note_relayed(store::ObjectStore& store, const ObjectAddress& archive, const std::vector<Region>& regions) {
  std::string value;
  for (const Region& region : regions) value += (value.empty() ? "" : " ") + region.str();
  if (value.empty() || value.size() > most_tag_value) return;
  try {
    store.set_tags(archive, {{relayed_tag, value}});
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
  }
}

void copy_to_inbound(store::ObjectStore& source, store::ObjectStore& destination, const ObjectAddress& from,
                     const store::ObjectInfo& info, const archive::Manifest& manifest, const ObjectAddress& to,
                     flow::ThreadPool& connections, flow::MemoryBudget& budget, os::World& world) {
  const auto there = destination.head(to, {.version_id = {}, .if_match = {}, .absence_unconfirmed = true});
  if (there) {
    // A relay that died after this copy and before the removal comes here again; landing twice would be harmless but
    // not free. Another archive of this name waits to be landed, and is in no other place any more.
    if (archive::is_copy_of(destination, to, *there, info, manifest, {.budget = &budget})) return;
    throw Error(ErrorKind::precondition, "another archive with this key waits in the inbound bucket, and is kept",
                to_uri(to),
                "compare both with `bale archive info`, and remove the one in the outbound bucket if it is wrong");
  }
  transfer::CopyOptions options;
  options.version_id = info.version_id;
  transfer::copy_object(source, from, destination, to, options, connections, world.stop);
}

}  // namespace

RelayResult relay_archive(const config::ReplicationConfig& config, const Region& source_region,
                          const ObjectAddress& archive, const StoreOf& stores, flow::ThreadPool& connections,
                          flow::MemoryBudget& budget, os::World& world, telemetry::Log& log) {
  config::check_staging(archive, config::outbound_bucket(config.settings, source_region), "outbound");
  RelayResult result;
  store::ObjectStore& source = stores(source_region);
  const auto info = source.head(archive);
  if (!info) return result;
  result.was_there = true;
  result.bytes = info->size;
  const auto bytes = transfer::open_object_source(source, archive);
  const auto reader = archive::open_archive(*bytes, {.budget = &budget});
  const archive::Manifest& manifest = reader->manifest();
  const Regions regions =
      regions_of(manifest, config::rules_of_archive(config, archive, archive::sources_of(manifest)));
  std::vector<std::string> done;
  if (!regions.refused.empty()) done = relayed_regions(source, archive);
  bool has_copied = false;
  for (const Region& region : regions.configured) {
    if (std::find(done.begin(), done.end(), region.str()) != done.end()) continue;
    has_copied = true;
    const ObjectAddress to{config::inbound_bucket(config.settings, region), archive.key};
    copy_to_inbound(source, stores(region), archive, *info, manifest, to, connections, budget, world);
  }
  if (!regions.refused.empty()) {
    if (has_copied) note_relayed(source, archive, regions.configured);
    const archive::Target& target = *regions.refused.front();
    throw config::unconfigured_destination(archive, target.region, target.bucket, target.backup);
  }
  if (regions.configured.empty())
    throw Error(ErrorKind::denied, "the archive names no destination, and is left alone", to_uri(archive));
  // The staged copy may go: each region has its own, in another bucket.
  result.regions = regions.configured;
  source.remove(archive);
  std::vector<std::string> names;
  for (const Region& region : result.regions) names.push_back(region.str());
  log.info(
      "relay.done", "relayed an archive",
      {{"archive", to_uri(archive)}, {"regions", fmt::format("{}", fmt::join(names, ","))}, {"bytes", info->size}});
  return result;
}

}  // namespace bale::relay
