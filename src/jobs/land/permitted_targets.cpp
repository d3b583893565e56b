#include "jobs/land/permitted_targets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "archive/manifest_sources.hpp"
#include "config/permitted.hpp"

namespace bale::land {
namespace {

/// Returns the target that may be used in the place of one that the manifest names; absent: none.
using Permit = std::function<std::optional<archive::Target>(const archive::Target&)>;

Permit configured_targets(const config::ReplicationConfig& config, const ObjectAddress& archive,
                          const archive::Manifest& manifest) {
  return [rules = config::rules_of_archive(config, archive, archive::sources_of(manifest))](
             const archive::Target& named) -> std::optional<archive::Target> {
    const config::Destination* found = config::find_destination(rules, named.region, named.bucket, named.backup);
    if (found == nullptr) return std::nullopt;
    return archive::Target{found->region, found->bucket, found->kms_key_arn, found->storage_class, found->backup};
  };
}

Permit given_targets(const config::Settings& settings, const Region& region, const ObjectAddress& archive,
                     const archive::Manifest& manifest) {
  const std::vector<config::NamedSource> sources = archive::sources_of(manifest);
  std::vector<BucketName> named;
  for (const archive::Target& target : manifest.targets) named.push_back(target.bucket);
  config::check_given_archive(settings, region, archive, sources, named);
  return [&settings, &region, &archive, sources](const archive::Target& target) -> std::optional<archive::Target> {
    if (!config::is_given_destination(settings, region, archive, sources, target.bucket)) return std::nullopt;
    return target;
  };
}

}  // namespace

void check_inbound(const config::ReplicationConfig& config, const Region& region, const ObjectAddress& archive) {
  const BucketName inbound = config::inbound_bucket(config.settings, region);
  if (!inbound.empty()) config::check_staging(archive, inbound, "inbound");
}

RegionTargets permitted_targets(const config::ReplicationConfig& config, const Region& region,
                                const ObjectAddress& archive, const archive::Manifest& manifest) {
  const Permit permit = config.settings.given ? given_targets(config.settings, region, archive, manifest)
                                              : configured_targets(config, archive, manifest);
  RegionTargets targets;
  for (const archive::Target& named : manifest.targets) {
    if (named.region != region) continue;
    const std::optional<archive::Target> target = permit(named);
    if (!target) {
      targets.refused.push_back({to_uri(named.bucket, archive.key),
                                 config::unconfigured_destination(archive, region, named.bucket, named.backup),
                                 named.bucket});
      continue;
    }
    std::vector<archive::Target>& list = target->backup ? targets.backup : targets.normal;
    if (std::find(list.begin(), list.end(), *target) == list.end()) list.push_back(*target);
  }
  if (targets.normal.empty() && targets.backup.empty() && targets.refused.empty()) {
    throw Error(ErrorKind::denied, fmt::format("the archive has no target in {}, and is left alone", region.str()),
                to_uri(archive), "the inbound buckets of the regions that it names have copies of their own");
  }
  return targets;
}

}  // namespace bale::land
