// Listings of objects and versions.
#include <algorithm>

#include "base/text.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing::s3 {
namespace {

/// Returns the common prefix that a key is rolled up into; empty where it is listed itself.
std::string rolled_up(const std::string& key, const std::string& prefix, const std::string& delimiter) {
  if (delimiter.empty()) return {};
  const std::size_t found = key.find(delimiter, prefix.size());
  return found == std::string::npos ? std::string() : key.substr(0, found + delimiter.size());
}

/// Returns what is told of a restore; empty where that was not asked for, or there is none.
std::string restore_element(const Request& request, const Version& version, TimePoint now) {
  if (request.header("x-amz-optional-object-attributes") != "RestoreStatus") return {};
  if (!version.restored_until || *version.restored_until < now) return {};
  if (version.attributes.storage_class == "INTELLIGENT_TIERING") return {};
  if (now < version.restored_from)
    return "<RestoreStatus>" + element("IsRestoreInProgress", "true") + "</RestoreStatus>";
  return "<RestoreStatus>" + element("IsRestoreInProgress", "false") +
         element("RestoreExpiryDate", to_iso8601(*version.restored_until)) + "</RestoreStatus>";
}

/// Returns the time at which restores are looked at: where the bucket tells none, one when all have expired.
TimePoint told_at(const Bucket& bucket, TimePoint now) { return bucket.tells_restores ? now : TimePoint::max(); }

std::string checksum_kind(const Version& version) {
  if (!version.checksum) return {};
  return element("ChecksumAlgorithm", checksum_element_name(version.checksum->name).substr(8)) +
         element("ChecksumType", version.checksum->type);
}

std::string object_element(const Request& request, const std::string& key, const Version& version, TimePoint now) {
  return "<Contents>" + element("Key", listed_name(request, key)) +
         element("LastModified", to_iso8601(version.modified)) + element("ETag", in_quotes(version.etag)) +
         checksum_kind(version) + restore_element(request, version, now) +
         element("Size", std::to_string(version.content.size())) +
         element("StorageClass", version.attributes.storage_class) + "</Contents>";
}

std::string version_element(const Request& request, const std::string& key, const Version& version, bool is_latest,
                            TimePoint now) {
  const std::string common = element("Key", listed_name(request, key)) + element("VersionId", version.id) +
                             element("IsLatest", is_latest ? "true" : "false") +
                             element("LastModified", to_iso8601(version.modified));
  if (version.is_marker) return "<DeleteMarker>" + common + "</DeleteMarker>";
  return "<Version>" + common + element("ETag", in_quotes(version.etag)) + checksum_kind(version) +
         restore_element(request, version, now) + element("Size", std::to_string(version.content.size())) +
         element("StorageClass", version.attributes.storage_class) + "</Version>";
}

}  // namespace

std::size_t Operations::page_of(const Request& request, const char* parameter) const {
  return std::min<std::size_t>(number_of(request, parameter, settings_.page), settings_.page);
}

Answer Operations::list_objects(const Request& request, const Received&) {
  const Bucket& bucket = bucket_of(request);
  const bool is_second = request.operation == "ListObjectsV2";
  const std::string prefix = request.parameter("prefix"), delimiter = request.parameter("delimiter");
  // A token is the last name of the page before, key or common prefix.
  const std::string token = is_second ? from_base64(request.parameter("continuation-token")) : std::string();
  const std::string after = !token.empty() ? token : request.parameter(is_second ? "start-after" : "marker");
  const std::size_t most = page_of(request, "max-keys");
  std::string objects, prefixes, last, last_prefix;
  std::size_t count = 0;
  bool is_truncated = false;
  for (auto each = bucket.objects.lower_bound(std::max(prefix, after)); each != bucket.objects.end(); ++each) {
    const auto& [key, versions] = *each;
    if (!key.starts_with(prefix)) break;
    if (key <= after || versions.back().is_marker) continue;
    const std::string common = rolled_up(key, prefix, delimiter);
    if (!common.empty() && (common == last_prefix || common == after)) continue;
    if (count == most) {
      is_truncated = most > 0;
      break;
    }
    ++count;
    last = common.empty() ? key : common;
    if (common.empty()) {
      objects += object_element(request, key, versions.back(), told_at(bucket, state_.now()));
    } else {
      prefixes += "<CommonPrefixes>" + element("Prefix", listed_name(request, common)) + "</CommonPrefixes>";
      last_prefix = common;
    }
  }
  std::string xml = element("Name", bucket.name) + element("Prefix", listed_name(request, prefix)) +
                    element("MaxKeys", std::to_string(most)) + element("IsTruncated", is_truncated ? "true" : "false");
  if (request.has("encoding-type")) xml += element("EncodingType", "url");
  if (!delimiter.empty()) xml += element("Delimiter", listed_name(request, delimiter));
  if (is_second) {
    xml += element("KeyCount", std::to_string(count));
    if (is_truncated) xml += element("NextContinuationToken", to_base64(as_bytes(last)));
  } else {
    xml += element("Marker", listed_name(request, after));
    if (is_truncated) xml += element("NextMarker", listed_name(request, last));
  }
  return document("ListBucketResult", xml + objects + prefixes);
}

Answer Operations::list_versions(const Request& request, const Received&) {
  const Bucket& bucket = bucket_of(request);
  if (!request.parameter("delimiter").empty())
    throw Refusal{501, "NotImplemented", "This server rolls up no keys in listings of versions"};
  const std::string prefix = request.parameter("prefix"), key_marker = request.parameter("key-marker"),
                    id_marker = request.parameter("version-id-marker");
  const std::size_t most = page_of(request, "max-keys");
  std::string versions, last_key, last_id;
  std::size_t count = 0;
  bool is_truncated = false;
  for (const auto& [key, kept] : bucket.objects) {
    if (!key.starts_with(prefix) || key < key_marker || (key == key_marker && id_marker.empty())) continue;
    bool is_after = key != key_marker;
    for (auto version = kept.rbegin(); version != kept.rend() && !is_truncated; ++version) {
      if (!is_after) {
        is_after = version->id == id_marker;
        continue;
      }
      if (count == most) {
        is_truncated = true;
        break;
      }
      versions += version_element(request, key, *version, version == kept.rbegin(), told_at(bucket, state_.now()));
      last_key = key;
      last_id = version->id;
      ++count;
    }
    if (is_truncated) break;
  }
  std::string xml = element("Name", bucket.name) + element("Prefix", listed_name(request, prefix)) +
                    element("KeyMarker", listed_name(request, key_marker)) + element("VersionIdMarker", id_marker) +
                    element("MaxKeys", std::to_string(most)) + element("IsTruncated", is_truncated ? "true" : "false");
  if (request.has("encoding-type")) xml += element("EncodingType", "url");
  if (is_truncated) {
    xml += element("NextKeyMarker", listed_name(request, last_key)) + element("NextVersionIdMarker", last_id);
  }
  return document("ListVersionsResult", xml + versions);
}

}  // namespace bale::testing::s3
