#include "support/scripted_s3/state.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>

#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

nlohmann::json describe(const KeptChecksum& checksum) {
  return {{"algorithm", checksum.name}, {"type", checksum.type}, {"value", checksum.text()}};
}

void describe(nlohmann::json& into, const Attributes& attributes) {
  into["headers"] = attributes.headers;
  into["metadata"] = attributes.metadata;
  into["tags"] = attributes.tags;
  into["storage_class"] = attributes.storage_class;
  into["encryption"] = attributes.encryption;
  into["kms_key"] = attributes.kms_key;
}

nlohmann::json describe(const std::string& key, const Version& version, bool is_latest) {
  nlohmann::json found = {{"key", key},
                          {"version_id", version.id},
                          {"is_latest", is_latest},
                          {"is_marker", version.is_marker},
                          {"size", version.content.size()},
                          {"etag", version.etag},
                          {"modified", to_iso8601(version.modified)},
                          {"checksum", nullptr}};
  if (version.checksum) found["checksum"] = describe(*version.checksum);
  describe(found, version.attributes);
  found["part_sizes"] = nlohmann::json::array();
  for (const KeptPart& part : version.parts) found["part_sizes"].push_back(part.size);
  return found;
}

nlohmann::json describe(const Upload& upload) {
  nlohmann::json found = {{"key", upload.key},
                          {"upload_id", upload.id},
                          {"initiated", to_iso8601(upload.initiated)},
                          {"checksum_algorithm", upload.checksum_name},
                          {"checksum_type", upload.checksum_type}};
  describe(found, upload.attributes);
  found["parts"] = nlohmann::json::array();
  for (const auto& [number, part] : upload.parts) {
    found["parts"].push_back({{"number", number},
                              {"size", part.digests.size},
                              {"etag", part.etag},
                              {"checksum", to_base64(as_bytes(checksum_bytes(part.digests, upload.checksum_name)))}});
  }
  return found;
}

}  // namespace

std::string KeptChecksum::text() const {
  return to_base64(as_bytes(bytes)) + (type == "COMPOSITE" ? fmt::format("-{}", parts) : "");
}

Version* Bucket::current(const std::string& key) {
  const auto found = objects.find(key);
  if (found == objects.end() || found->second.back().is_marker) return nullptr;
  return &found->second.back();
}

Version& Bucket::add(const std::string& key, Version version) {
  std::vector<Version>& versions = objects[key];
  version.id = versioning == "Enabled" ? new_id() : "null";
  if (version.id == "null") std::erase_if(versions, [](const Version& other) { return other.id == "null"; });
  versions.push_back(std::move(version));
  return versions.back();
}

TimePoint State::now() const {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now()) + advanced;
}

std::string new_id() {
  static std::atomic<std::uint64_t> next{1};
  const std::uint64_t number = next++;
  // The number makes it unique, the digest makes it look like those of S3: an order of IDs means nothing.
  const std::string seed = std::to_string(number);
  return to_hex(as_bytes(checksum_of_bytes(seed, "sha1"))).substr(0, 24) + fmt::format("{:08x}", number);
}

nlohmann::json describe(const State& state) {
  nlohmann::json all = {{"buckets", nlohmann::json::object()}};
  for (const auto& [name, bucket] : state.buckets) {
    nlohmann::json& found = all["buckets"][name];
    found = {{"region", bucket.region},           {"owner", bucket.owner},         {"foreign", bucket.is_foreign},
             {"versioning", bucket.versioning},   {"documents", bucket.documents}, {"objects", nlohmann::json::array()},
             {"uploads", nlohmann::json::array()}};
    for (const auto& [key, versions] : bucket.objects) {
      for (const Version& version : versions)
        found["objects"].push_back(describe(key, version, &version == &versions.back()));
    }
    for (const auto& [id, upload] : bucket.uploads) found["uploads"].push_back(describe(upload));
  }
  return all;
}

}  // namespace bale::testing::s3
