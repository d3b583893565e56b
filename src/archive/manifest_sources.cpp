#include "archive/manifest_sources.hpp"

#include <set>
#include <string>

namespace bale::archive {

std::vector<std::pair<BucketName, std::string>> sources_of(const Manifest& manifest) {
  std::set<std::pair<std::string, std::string>> sources;
  for (const ManifestObject& object : manifest.objects)
    sources.emplace(object.source_bucket.str(), object.source_prefix);
  for (const Deletion& deletion : manifest.deletions)
    sources.emplace(deletion.source_bucket.str(), deletion.source_prefix);
  std::vector<std::pair<BucketName, std::string>> result;
  result.reserve(sources.size());
  for (const auto& [bucket, prefix] : sources) result.emplace_back(BucketName(bucket), prefix);
  return result;
}

}  // namespace bale::archive
