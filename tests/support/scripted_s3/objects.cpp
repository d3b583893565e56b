// Operations on objects.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "store/object_store.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing::s3 {
namespace {

constexpr std::size_t max_key_bytes = 1024, max_tag_key = 128, max_tag_value = 256;

/// Headers that are kept and given back.
constexpr std::string_view kept_headers[] = {"content-type",
                                             "cache-control",
                                             "content-disposition",
                                             "content-encoding",
                                             "content-language",
                                             "expires",
                                             "x-amz-website-redirect-location"};

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::map<std::string, std::string> check_tags(std::map<std::string, std::string> tags) {
  if (tags.size() > store::max_tags) throw Refusal{400, "BadRequest", "Object tags cannot be greater than 10"};
  for (const auto& [key, value] : tags) {
    if (key.empty() || characters(key) > max_tag_key)
      throw Refusal{400, "InvalidTag", "The TagKey you have provided is invalid"};
    if (characters(value) > max_tag_value)
      throw Refusal{400, "InvalidTag", "The TagValue you have provided is invalid"};
  }
  return tags;
}

std::map<std::string, std::string> tags_of(std::string_view query) {
  std::map<std::string, std::string> tags;
  if (query.empty()) return tags;
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    tags[form_decode(pair.substr(0, equals))] = form_decode(pair.substr(std::min(equals + 1, pair.size())));
  }
  return check_tags(std::move(tags));
}

bool is_of_archive_class(const Version& version) {
  const std::string& storage_class = version.attributes.storage_class;
  return storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE";
}

/// Whether a restore was requested, and its copy has not expired.
bool has_restore(const Version& version, TimePoint now) {
  return version.restored_until && *version.restored_until >= now;
}

bool is_archived(const Version& version, TimePoint now) {
  if (!is_of_archive_class(version) && version.archive_status.empty()) return false;
  return !has_restore(version, now) || now < version.restored_from;
}

void check_storage_class(const std::string& name) {
  static const std::set<std::string> known = {"STANDARD", "REDUCED_REDUNDANCY",  "STANDARD_IA",  "ONEZONE_IA",
                                              "GLACIER",  "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"};
  if (!known.contains(name)) throw Refusal{400, "InvalidStorageClass", "The storage class you specified is not valid"};
}

/// The bucket's default, where the request names no encryption.
void add_default_encryption(Attributes& attributes, const Bucket& bucket) {
  const auto found = bucket.documents.find("encryption");
  if (found == bucket.documents.end()) return;
  pugi::xml_document xml;
  xml.load_string(found->second.c_str());
  const pugi::xml_node rule = xml.document_element().child("Rule").child("ApplyServerSideEncryptionByDefault");
  attributes.encryption = rule.child("SSEAlgorithm").text().get();
  attributes.kms_key = rule.child("KMSMasterKeyID").text().get();
}

void add_attributes(http::Headers& headers, const Version& version, const Bucket& bucket, TimePoint now) {
  for (const auto& [name, value] : version.attributes.headers) headers.add(name, value);
  for (const auto& [name, value] : version.attributes.metadata) headers.add("x-amz-meta-" + name, value);
  if (!version.attributes.tags.empty())
    headers.add("x-amz-tagging-count", std::to_string(version.attributes.tags.size()));
  if (version.attributes.storage_class != "STANDARD")
    headers.add("x-amz-storage-class", version.attributes.storage_class);
  const bool is_in_progress = has_restore(version, now) && now < version.restored_from;
  if (is_in_progress) {
    headers.add("x-amz-restore", "ongoing-request=\"true\"");
  } else if (has_restore(version, now) && is_of_archive_class(version)) {
    headers.add("x-amz-restore",
                fmt::format("ongoing-request=\"false\", expiry-date=\"{}\"", to_http_date(*version.restored_until)));
  }
  if (!version.archive_status.empty() && is_archived(version, now))
    headers.add("x-amz-archive-status", version.archive_status);
  add_encryption(headers, version.attributes);
  if (!bucket.versioning.empty()) headers.add("x-amz-version-id", version.id);
}

void check_read_conditions(const Request& request, const Version& version) {
  if (const std::string* const match = request.headers.find("if-match")) {
    if (*match != "*" && unquoted(*match) != version.etag)
      throw Refusal{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"};
  }
  if (const std::string* const none = request.headers.find("if-none-match")) {
    if (*none == "*" || unquoted(*none) == version.etag)
      throw Refusal{304, "NotModified", "Not Modified", {{"ETag", in_quotes(version.etag)}}};
  }
}

/// Narrows a full answer to part `number` of the object.
void narrow_to_part(Answer& answer, const Version& version, std::uint64_t number) {
  if (number < 1 || number > std::max<std::size_t>(version.parts.size(), 1))
    throw Refusal{416, "InvalidPartNumber", "The requested partnumber is not satisfiable"};
  if (version.parts.empty()) return;
  for (std::uint64_t i = 0; i + 1 < number; ++i) answer.offset += version.parts[i].size;
  answer.length = version.parts[number - 1].size;
  answer.headers.add("x-amz-mp-parts-count", std::to_string(version.parts.size()));
}

std::string tag_set(const std::map<std::string, std::string>& tags) {
  std::string xml;
  for (const auto& [key, value] : tags) xml += "<Tag>" + element("Key", key) + element("Value", value) + "</Tag>";
  return "<TagSet>" + xml + "</TagSet>";
}

}  // namespace

Attributes Operations::attributes_of(const Request& request, const Bucket& bucket) {
  if (request.key.size() > max_key_bytes) throw Refusal{400, "KeyTooLongError", "Your key is too long"};
  Attributes attributes;
  for (const std::string_view name : kept_headers) {
    std::string value = request.header(name);
    constexpr std::string_view chunked = "aws-chunked";
    if (name == "content-encoding" && value.starts_with(chunked))
      value.erase(0, std::min(value.find_first_not_of(", ", chunked.size()), value.size()));
    if (!value.empty()) attributes.headers[std::string(name)] = value;
  }
  attributes.headers.emplace("content-type", "binary/octet-stream");
  constexpr std::string_view prefix = "x-amz-meta-";
  std::size_t bytes = 0;
  for (const http::Header& header : request.headers) {
    const std::string name = to_lower(header.name);
    if (!name.starts_with(prefix)) continue;
    attributes.metadata[name.substr(prefix.size())] = header.value;
    bytes += name.size() - prefix.size() + header.value.size();
  }
  if (bytes > store::max_user_metadata_bytes)
    throw Refusal{400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"};
  attributes.tags = tags_of(request.header("x-amz-tagging"));
  if (!attributes.tags.empty()) demand("s3:PutObjectTagging");
  if (const std::string* const named = request.headers.find("x-amz-storage-class")) attributes.storage_class = *named;
  check_storage_class(attributes.storage_class);
  if (const std::string* const named = request.headers.find("x-amz-server-side-encryption")) {
    attributes.encryption = *named;
    attributes.kms_key = request.header("x-amz-server-side-encryption-aws-kms-key-id");
  } else {
    add_default_encryption(attributes, bucket);
  }
  if (attributes.encryption != "AES256" && !attributes.encryption.starts_with("aws:kms"))
    throw Refusal{400, "InvalidEncryptionAlgorithmError", "The encryption request you specified is not valid."};
  return attributes;
}

/// Absence is told only to who may list the bucket.
Version& Operations::find(const Request& request, Bucket& bucket, const std::string& key,
                          const std::string& version_id) {
  static_cast<void>(request);
  const auto found = bucket.objects.find(key);
  if (found != bucket.objects.end()) {
    for (Version& version : found->second) {
      if (version.id != version_id) continue;
      if (version.is_marker) {
        throw Refusal{405,
                      "MethodNotAllowed",
                      "The specified method is not allowed against this resource.",
                      {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", version.id}, {"Allow", "DELETE"}}};
      }
      return version;
    }
    if (version_id.empty() && !found->second.back().is_marker) return found->second.back();
  }
  demand("s3:ListBucket");
  if (!version_id.empty()) throw Refusal{404, "NoSuchVersion", "The specified version does not exist."};
  Refusal missing{404, "NoSuchKey", "The specified key does not exist."};
  if (found != bucket.objects.end())
    missing.headers = {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", found->second.back().id}};
  throw missing;
}

Answer Operations::put_object(const Request& request, const Received& received) {
  Bucket& bucket = bucket_of(request);
  if (received.digests.size > store::max_part_bytes)
    throw Refusal{400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."};
  Version version;
  version.attributes = attributes_of(request, bucket);
  const std::string given = verify_body(request, received);
  check_write_conditions(request, bucket.current(request.key));
  version.content = received.content;
  version.digests = received.digests;
  version.modified = state_.now();
  version.etag = etag_of(received.digests, version.attributes);
  const std::string name = given.empty() ? "crc64nvme" : given;  // what S3 computes where nothing is said
  version.checksum = KeptChecksum{name, "FULL_OBJECT", checksum_bytes(received.digests, name), 0};
  const Version& kept = bucket.add(request.key, std::move(version));
  Answer answer;
  answer.headers.add("ETag", in_quotes(kept.etag));
  add_checksum(answer.headers, *kept.checksum);
  add_encryption(answer.headers, kept.attributes);
  if (!bucket.versioning.empty()) answer.headers.add("x-amz-version-id", kept.id);
  return answer;
}

Answer Operations::get_object(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const Version& version = find(request, bucket, request.key, request.parameter("versionId"));
  check_read_conditions(request, version);
  const bool is_get = request.method == "GET";
  if (is_get && is_archived(version, state_.now()))
    throw Refusal{403, "InvalidObjectState", "The operation is not valid for the object's storage class"};
  Answer answer;
  answer.content = version.content;
  const ByteCount size = answer.length = version.content.size();
  answer.headers.add("ETag", in_quotes(version.etag));
  answer.headers.add("Last-Modified", to_http_date(version.modified));
  answer.headers.add("Accept-Ranges", "bytes");
  add_attributes(answer.headers, version, bucket, state_.now());
  bool is_part = request.has("partNumber");
  if (is_part) narrow_to_part(answer, version, number_of(request, "partNumber", 0));
  if (const auto range = range_of(request.header("range"), size)) {
    is_part = true;
    answer.offset = range->first;
    answer.length = range->second - range->first + 1;
  }
  if (is_part && size > 0) {
    answer.status = 206;
    answer.headers.add("Content-Range",
                       fmt::format("bytes {}-{}/{}", answer.offset, answer.offset + answer.length - 1, size));
  }
  if (answer.length == size && version.checksum && to_lower(request.header("x-amz-checksum-mode")) == "enabled")
    add_checksum(answer.headers, *version.checksum);
  return answer;
}

Answer Operations::get_attributes(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const Version& version = find(request, bucket, request.key, request.parameter("versionId"));
  const std::string wanted = request.header("x-amz-object-attributes");
  const auto wants = [&](const char* name) { return wanted.find(name) != std::string::npos; };
  std::string xml;
  if (wants("ETag")) xml += element("ETag", version.etag);
  if (wants("Checksum") && version.checksum) xml += "<Checksum>" + checksum_elements(*version.checksum) + "</Checksum>";
  if (wants("ObjectParts") && !version.parts.empty()) {
    std::string parts = element("PartsCount", std::to_string(version.parts.size()));
    for (const KeptPart& part : version.parts) {
      if (part.checksum.empty()) continue;
      parts += "<Part>" + element("PartNumber", std::to_string(part.number)) +
               element("Size", std::to_string(part.size)) +
               element(checksum_element_name(version.checksum->name), to_base64(as_bytes(part.checksum))) + "</Part>";
    }
    xml += "<ObjectParts>" + parts + "</ObjectParts>";
  }
  if (wants("StorageClass")) xml += element("StorageClass", version.attributes.storage_class);
  if (wants("ObjectSize")) xml += element("ObjectSize", std::to_string(version.content.size()));
  Answer answer = document("GetObjectAttributesResponse", xml);
  answer.headers.add("Last-Modified", to_http_date(version.modified));
  if (!bucket.versioning.empty()) answer.headers.add("x-amz-version-id", version.id);
  return answer;
}

Answer Operations::delete_object(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const std::string wanted = request.parameter("versionId");
  if (request.headers.find("if-match") != nullptr) check_write_conditions(request, bucket.current(request.key));
  Answer answer{.status = 204};
  const auto found = bucket.objects.find(request.key);
  if (wanted.empty() && !bucket.versioning.empty()) {
    Version marker;
    marker.is_marker = true;
    marker.modified = state_.now();
    answer.headers.add("x-amz-delete-marker", "true");
    answer.headers.add("x-amz-version-id", bucket.add(request.key, std::move(marker)).id);
    return answer;
  }
  if (!wanted.empty()) answer.headers.add("x-amz-version-id", wanted);
  if (found == bucket.objects.end()) return answer;
  std::vector<Version>& versions = found->second;
  const auto version = std::find_if(versions.begin(), versions.end(),
                                    [&](const Version& each) { return each.id == (wanted.empty() ? "null" : wanted); });
  if (version == versions.end()) return answer;
  if (version->is_marker) answer.headers.add("x-amz-delete-marker", "true");
  versions.erase(version);
  if (versions.empty()) bucket.objects.erase(found);
  return answer;
}

Answer Operations::delete_objects(const Request& request, const Received& received) {
  if (verify_body(request, received).empty() && request.header("content-md5").empty())
    throw Refusal{400, "InvalidRequest", "Missing required header for this request: Content-MD5"};
  pugi::xml_document xml;
  parse(xml, received);
  const bool is_quiet = std::strcmp(xml.document_element().child("Quiet").text().get(), "true") == 0;
  std::string results;
  for (const pugi::xml_node& object : xml.document_element().children("Object")) {
    Request one = request;
    one.key = object.child("Key").text().get();
    one.query.clear();
    const std::string version = object.child("VersionId").text().get();
    if (!version.empty()) one.query["versionId"] = version;
    if (object.child("ETag")) one.headers.set("if-match", object.child("ETag").text().get());
    const std::string named = element("Key", one.key) + (version.empty() ? "" : element("VersionId", version));
    try {
      const Answer done = delete_object(one, {});
      if (is_quiet) continue;
      results += "<Deleted>" + named;
      if (const std::string* const marker = done.headers.find("x-amz-delete-marker")) {
        results +=
            element("DeleteMarker", *marker) + element("DeleteMarkerVersionId", done.headers.get("x-amz-version-id"));
      }
      results += "</Deleted>";
    } catch (const Refusal& refusal) {
      results += "<Error>" + named + element("Code", refusal.code) + element("Message", refusal.message) + "</Error>";
    }
  }
  return document("DeleteResult", results);
}

Version& Operations::copy_source(const Request& request) {
  std::string source = request.header("x-amz-copy-source");
  std::string version_id;
  if (const std::size_t mark = source.rfind("?versionId="); mark != std::string::npos) {
    version_id = percent_decode(source.substr(mark + std::strlen("?versionId=")));
    source.resize(mark);
  }
  source = percent_decode(source);
  if (source.starts_with('/')) source.erase(0, 1);
  const std::size_t slash = source.find('/');
  if (slash == std::string::npos) throw Refusal{400, "InvalidArgument", "Copy Source must mention the source bucket"};
  Request from = request;
  from.bucket = source.substr(0, slash);
  Bucket& bucket = bucket_of(from);
  const std::string expected = request.header("x-amz-source-expected-bucket-owner");
  if (bucket.is_foreign || (!expected.empty() && expected != bucket.owner))
    throw Refusal{403, "AccessDenied", "Access Denied"};
  demand(version_id.empty() ? "s3:GetObject" : "s3:GetObjectVersion");
  Version& version = find(from, bucket, source.substr(slash + 1), version_id);
  const std::string* const match = request.headers.find("x-amz-copy-source-if-match");
  const std::string* const none = request.headers.find("x-amz-copy-source-if-none-match");
  if ((match != nullptr && unquoted(*match) != version.etag) || (none != nullptr && unquoted(*none) == version.etag))
    throw Refusal{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"};
  if (is_archived(version, state_.now()))
    throw Refusal{403, "InvalidObjectState", "Operation is not valid for the source object's storage class"};
  return version;
}

Answer Operations::copy_object(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const Version source = copy_source(request);
  if (source.content.size() > store::max_part_bytes) {
    throw Refusal{400, "InvalidRequest",
                  "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"};
  }
  Version version;
  version.attributes = attributes_of(request, bucket);
  const bool replaces = request.header("x-amz-metadata-directive") == "REPLACE";
  const Version* const current = bucket.current(request.key);
  const bool is_itself =
      current != nullptr && current->etag == source.etag && current->modified == source.modified &&
      request.header("x-amz-copy-source").find("?versionId=") == std::string::npos &&
      percent_decode(request.header("x-amz-copy-source")).ends_with(request.bucket + "/" + request.key);
  if (is_itself && !replaces && version.attributes.storage_class == source.attributes.storage_class) {
    throw Refusal{400, "InvalidRequest",
                  "This copy request is illegal because it is trying to copy an object to itself without changing the "
                  "object's metadata, storage class, website redirect location or encryption attributes."};
  }
  check_write_conditions(request, current);
  if (!replaces) {
    version.attributes.headers = source.attributes.headers;
    version.attributes.metadata = source.attributes.metadata;
  }
  if (request.header("x-amz-tagging-directive") != "REPLACE") version.attributes.tags = source.attributes.tags;
  version.content = source.content;
  version.digests = source.parts.empty() ? source.digests : digest(source.content, {});
  std::string name = to_lower(request.header("x-amz-checksum-algorithm"));
  if (name.empty()) name = source.checksum ? source.checksum->name : "crc64nvme";
  if (checksum_bytes(version.digests, name).empty()) version.digests = digest(source.content, {true, true});
  version.checksum = KeptChecksum{name, "FULL_OBJECT", checksum_bytes(version.digests, name), 0};
  version.etag = etag_of(version.digests, version.attributes);
  version.modified = state_.now();
  const Version& kept = bucket.add(request.key, std::move(version));
  Answer answer =
      document("CopyObjectResult", element("LastModified", to_iso8601(kept.modified)) +
                                       element("ETag", in_quotes(kept.etag)) + checksum_elements(*kept.checksum));
  add_encryption(answer.headers, kept.attributes);
  if (!bucket.versioning.empty()) answer.headers.add("x-amz-version-id", kept.id);
  return answer;
}

Answer Operations::get_tags(const Request& request, const Received&) {
  const Version& version = find(request, bucket_of(request), request.key, request.parameter("versionId"));
  return document("Tagging", tag_set(version.attributes.tags));
}

Answer Operations::put_tags(const Request& request, const Received& received) {
  verify_body(request, received);
  pugi::xml_document xml;
  parse(xml, received);
  std::map<std::string, std::string> tags;
  for (const pugi::xml_node& tag : xml.document_element().child("TagSet").children("Tag"))
    tags[tag.child("Key").text().get()] = tag.child("Value").text().get();
  find(request, bucket_of(request), request.key, request.parameter("versionId")).attributes.tags =
      check_tags(std::move(tags));
  return {};
}

Answer Operations::delete_tags(const Request& request, const Received&) {
  find(request, bucket_of(request), request.key, request.parameter("versionId")).attributes.tags.clear();
  return {.status = 204};
}

Answer Operations::restore_object(const Request& request, const Received& received) {
  pugi::xml_document xml;
  parse(xml, received);
  Version& version = find(request, bucket_of(request), request.key, request.parameter("versionId"));
  const TimePoint now = state_.now();
  if (!is_of_archive_class(version) && version.archive_status.empty())
    throw Refusal{403, "InvalidObjectState", "Restore is not allowed for the object's current storage class"};
  const pugi::xml_node days = xml.document_element().child("Days");
  // https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
  if (is_of_archive_class(version) != static_cast<bool>(days))
    throw Refusal{400, "MalformedXML", "The XML you provided was not well-formed or did not validate"};
  const bool is_there = !is_archived(version, now);
  if (has_restore(version, now) && !is_there)
    throw Refusal{409, "RestoreAlreadyInProgress", "Object restore is already in progress"};
  constexpr int for_good = 36500;
  if (!is_there) version.restored_from = now + bucket_of(request).restore_takes;
  const TimePoint begin = is_there ? now : version.restored_from;
  version.restored_until = begin + std::chrono::hours(24 * (days ? days.text().as_int() : for_good));
  return {.status = is_there ? 200 : 202};
}

}  // namespace bale::testing::s3
