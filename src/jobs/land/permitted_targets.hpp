// What an archive's manifest may have the landing write to. Pure.
#pragma once

#include <vector>

#include "archive/manifest.hpp"
#include "config/replication.hpp"
#include "jobs/land/lander.hpp"

namespace bale::land {

/// The targets of an archive in one region.
struct RegionTargets {
  std::vector<archive::Target> normal, backup;  ///< each once
  std::vector<LandFailure> refused;             ///< those that the configuration does not have, each by name
};

/// Throws Error{denied} where it is known without the manifest that `archive` is no staged copy of this region: it is
/// not in the inbound bucket.
void check_inbound(const config::ReplicationConfig& config, const Region& region, const ObjectAddress& archive);

/// Returns the targets in `region` that the manifest of `archive` names, held against the configuration
/// (config/permitted.hpp). With Settings::given the manifest alone knows the destinations: then the stack's own buckets
/// and the archive's source are refused. Throws Error{denied} when the archive as a whole is refused, or names no
/// target in `region`.
RegionTargets permitted_targets(const config::ReplicationConfig& config, const Region& region,
                                const ObjectAddress& archive, const archive::Manifest& manifest);

}  // namespace bale::land
