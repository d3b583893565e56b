// The sources that a manifest says its objects are of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "archive/manifest.hpp"

namespace bale::archive {

/// Returns each pair of source bucket and monitored prefix (without trailing '/') that an object or a deletion of the
/// manifest names, once, sorted; empty for a manifest that lists neither. The result is a claim of whoever wrote the
/// archive.
std::vector<std::pair<BucketName, std::string>> sources_of(const Manifest& manifest);

}  // namespace bale::archive
