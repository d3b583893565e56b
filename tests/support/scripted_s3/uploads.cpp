// Operations on uploads in parts.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "store/object_store.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing::s3 {
namespace {

/// A part as CompleteMultipartUpload lists it.
struct ListedPart {
  std::uint64_t number = 0;
  std::string etag;
  std::string checksum;  ///< of the upload's algorithm; empty where there is none
};

std::vector<ListedPart> listed_parts(const Received& received, const Upload& upload) {
  pugi::xml_document xml;
  parse(xml, received);
  std::vector<ListedPart> parts;
  const std::string checksum = upload.checksum_name.empty() ? "" : checksum_element_name(upload.checksum_name);
  for (const pugi::xml_node& part : xml.document_element().children("Part")) {
    parts.push_back({part.child("PartNumber").text().as_ullong(), unquoted(part.child("ETag").text().get()),
                     checksum.empty() ? "" : part.child(checksum.c_str()).text().get()});
  }
  if (parts.empty())
    throw Refusal{400, "MalformedXML", "The XML you provided was not well-formed or did not validate."};
  return parts;
}

/// The rules of S3 about the parts of an upload.
void check_parts(const std::vector<ListedPart>& listed, const Upload& upload) {
  const Refusal no_part{400, "InvalidPart", "One or more of the specified parts could not be found."};
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const ListedPart& part = listed[i];
    if (i > 0 && part.number <= listed[i - 1].number)
      throw Refusal{400, "InvalidPartOrder", "The list of parts was not in ascending order."};
    const auto found = upload.parts.find(static_cast<std::uint32_t>(part.number));
    if (found == upload.parts.end() || found->second.etag != part.etag) throw no_part;
    if (!part.checksum.empty() && checksum_from(upload.checksum_name, part.checksum) !=
                                      checksum_bytes(found->second.digests, upload.checksum_name))
      throw no_part;
    if (part.checksum.empty() && upload.checksum_type == "COMPOSITE") {
      throw Refusal{400, "InvalidRequest",
                    fmt::format("The upload was created using a {} checksum. The complete request must include the "
                                "checksum for each part. It was missing for part {} in the request.",
                                upload.checksum_name, part.number)};
    }
  }
  for (std::size_t i = 0; i + 1 < listed.size(); ++i) {
    if (upload.parts.at(static_cast<std::uint32_t>(listed[i].number)).digests.size < store::min_part_bytes)
      throw Refusal{400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"};
  }
}

/// The checksum of the whole, from those of the parts.
KeptChecksum whole_checksum(const Upload& upload, const std::vector<Digests>& parts) {
  if (upload.checksum_type != "COMPOSITE") {
    const std::string name = upload.checksum_name.empty() ? "crc64nvme" : upload.checksum_name;
    return {name, "FULL_OBJECT", joined_checksum(parts, name), 0};
  }
  std::string all;
  for (const Digests& part : parts) all += checksum_bytes(part, upload.checksum_name);
  return {upload.checksum_name, "COMPOSITE", checksum_of_bytes(all, upload.checksum_name), parts.size()};
}

/// What the request says of the whole object must be true.
void check_whole(const Request& request, const Upload& upload, const KeptChecksum& checksum, ByteCount size) {
  const std::string* const expected = request.headers.find("x-amz-mp-object-size");
  if (expected != nullptr && *expected != std::to_string(size)) {
    throw Refusal{400, "InvalidRequest",
                  "The provided 'x-amz-mp-object-size' header does not match what was computed."};
  }
  const std::string type = request.header("x-amz-checksum-type");
  const auto given = given_checksum(request, {});
  const Refusal bad{400, "BadDigest",
                    fmt::format("The {} you specified did not match the calculated checksum.", checksum.name)};
  if (!type.empty() && type != checksum.type) throw bad;
  if (!given) return;
  if (given->first != checksum.name || upload.checksum_name.empty()) {
    throw Refusal{400, "InvalidRequest",
                  fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                              upload.checksum_name.empty() ? "null" : upload.checksum_name, given->first)};
  }
  std::string value = given->second;
  const std::string suffix = fmt::format("-{}", checksum.parts);
  if (checksum.type == "COMPOSITE" && value.ends_with(suffix)) value.resize(value.size() - suffix.size());
  if (checksum_from(checksum.name, value) != checksum.bytes) throw bad;
}

/// After how many days the bucket's lifecycle ends uploads of a key, and the ID of the rule that says so.
std::optional<std::pair<std::string, int>> abort_rule(const Bucket& bucket, const std::string& key) {
  const auto found = bucket.documents.find("lifecycle");
  if (found == bucket.documents.end()) return std::nullopt;
  pugi::xml_document xml;
  xml.load_string(found->second.c_str());
  for (const pugi::xml_node& rule : xml.document_element().children("Rule")) {
    const pugi::xml_node days = rule.child("AbortIncompleteMultipartUpload").child("DaysAfterInitiation");
    const std::string prefix =
        rule.child("Prefix").text().get() + std::string(rule.child("Filter").child("Prefix").text().get());
    if (days && std::strcmp(rule.child("Status").text().get(), "Enabled") == 0 && key.starts_with(prefix))
      return std::pair(std::string(rule.child("ID").text().get()), days.text().as_int());
  }
  return std::nullopt;
}

/// When the bucket's lifecycle ends the upload: S3 rounds up to the next midnight.
std::optional<TimePoint> abort_date(const Bucket& bucket, const Upload& upload) {
  const auto rule = abort_rule(bucket, upload.key);
  if (!rule) return std::nullopt;
  return TimePoint(std::chrono::ceil<std::chrono::days>(upload.initiated + std::chrono::days(rule->second)));
}

void add_abort_rule(http::Headers& headers, const Bucket& bucket, const Upload& upload) {
  const auto rule = abort_rule(bucket, upload.key);
  if (!rule) return;
  headers.add("x-amz-abort-date", to_http_date(*abort_date(bucket, upload)));
  headers.add("x-amz-abort-rule-id", rule->first);
}

/// Refuses a checksum of a part that the upload was not begun for, and the lack of one that it needs.
void check_part_checksum(const Upload& upload, const std::string& given) {
  const bool may_lack = upload.checksum_type != "COMPOSITE";  // else S3 computes it itself
  if (given == upload.checksum_name || (given.empty() && may_lack)) return;
  const auto shown = [](const std::string& name) { return name.empty() ? std::string("null") : name; };
  throw Refusal{400, "InvalidRequest",
                fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                            shown(upload.checksum_name), shown(given))};
}

std::uint32_t part_number(const Request& request) {
  const std::uint64_t number = number_of(request, "partNumber", 0);
  if (number < 1 || number > store::max_parts)
    throw Refusal{400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"};
  return static_cast<std::uint32_t>(number);
}

std::optional<KeptChecksum> part_checksum(const Upload& upload, const Part& part) {
  if (upload.checksum_name.empty()) return std::nullopt;
  return KeptChecksum{upload.checksum_name, upload.checksum_type, checksum_bytes(part.digests, upload.checksum_name),
                      0};
}

std::string part_checksum_element(const Upload& upload, const Part& part) {
  const auto checksum = part_checksum(upload, part);
  return checksum ? element(checksum_element_name(checksum->name), to_base64(as_bytes(checksum->bytes))) : "";
}

}  // namespace

void Operations::end_old_uploads(Bucket& bucket) {
  if (!bucket.documents.contains("lifecycle")) return;
  std::erase_if(bucket.uploads, [&](const auto& each) {
    const auto date = abort_date(bucket, each.second);
    return date && *date < state_.now();
  });
}

Upload& Operations::upload_of(const Request& request, Bucket& bucket) {
  const auto found = bucket.uploads.find(request.parameter("uploadId"));
  if (found == bucket.uploads.end() || found->second.key != request.key) {
    throw Refusal{404, "NoSuchUpload",
                  "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                  "aborted or completed."};
  }
  return found->second;
}

Answer Operations::create_upload(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  Upload upload;
  upload.id = new_id();
  upload.key = request.key;
  upload.attributes = attributes_of(request, bucket);
  upload.initiated = state_.now();
  upload.checksum_name = to_lower(request.header("x-amz-checksum-algorithm"));
  upload.checksum_type = request.header("x-amz-checksum-type");
  const bool is_sha = upload.checksum_name.starts_with("sha");
  const auto& names = checksum_names();
  if (!upload.checksum_name.empty() && std::find(names.begin(), names.end(), upload.checksum_name) == names.end())
    throw Refusal{400, "InvalidRequest", "Checksum algorithm provided is unsupported."};
  if (upload.checksum_name.empty() && !upload.checksum_type.empty()) {
    throw Refusal{400, "InvalidRequest",
                  "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."};
  }
  const bool fits = upload.checksum_name == "crc64nvme" ? upload.checksum_type != "COMPOSITE"
                                                        : !is_sha || upload.checksum_type != "FULL_OBJECT";
  if (!fits) {
    throw Refusal{400, "InvalidRequest",
                  fmt::format("The {} checksum type cannot be used with the {} checksum algorithm.",
                              upload.checksum_type, upload.checksum_name)};
  }
  if (upload.checksum_type.empty() && !upload.checksum_name.empty())
    upload.checksum_type = upload.checksum_name == "crc64nvme" ? "FULL_OBJECT" : "COMPOSITE";
  const Upload& kept = bucket.uploads.emplace(upload.id, upload).first->second;
  Answer answer = document("InitiateMultipartUploadResult",
                           element("Bucket", bucket.name) + element("Key", kept.key) + element("UploadId", kept.id));
  add_encryption(answer.headers, kept.attributes);
  add_abort_rule(answer.headers, bucket, kept);
  if (!kept.checksum_name.empty()) {
    answer.headers.add("x-amz-checksum-algorithm", checksum_element_name(kept.checksum_name).substr(8));
    answer.headers.add("x-amz-checksum-type", kept.checksum_type);
  }
  return answer;
}

Answer Operations::upload_part(const Request& request, const Received& received) {
  Bucket& bucket = bucket_of(request);
  const std::uint32_t number = part_number(request);
  Upload& upload = upload_of(request, bucket);
  if (received.digests.size > store::max_part_bytes)
    throw Refusal{400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."};
  check_part_checksum(upload, verify_body(request, received));
  Part part{received.content, received.digests, etag_of(received.digests, upload.attributes), state_.now()};
  Answer answer;
  answer.headers.add("ETag", in_quotes(part.etag));
  if (const auto checksum = part_checksum(upload, part))
    answer.headers.add("x-amz-checksum-" + checksum->name, to_base64(as_bytes(checksum->bytes)));
  add_encryption(answer.headers, upload.attributes);
  upload.parts[number] = std::move(part);
  return answer;
}

Answer Operations::upload_part_copy(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const std::uint32_t number = part_number(request);
  Upload& upload = upload_of(request, bucket);
  const Version& source = copy_source(request);
  const ByteCount size = source.content.size();
  ByteCount first = 0, length = size;
  if (const std::string text = request.header("x-amz-copy-source-range"); !text.empty()) {
    const std::size_t dash = text.find('-');
    const bool is_range = text.starts_with("bytes=") && dash != std::string::npos && dash + 1 < text.size();
    const ByteCount last = is_range ? std::strtoull(text.c_str() + dash + 1, nullptr, 10) : 0;
    first = is_range ? std::strtoull(text.c_str() + std::strlen("bytes="), nullptr, 10) : 0;
    if (!is_range || last < first || last >= size) {
      throw Refusal{400, "InvalidArgument",
                    fmt::format("Range specified is not valid for source object of size: {}", size)};
    }
    length = last - first + 1;
  }
  if (length > store::max_part_bytes)
    throw Refusal{400, "InvalidRequest", "The specified copy source is larger than the maximum allowable size"};
  Part part;
  part.content.append(source.content, first, length);
  const bool is_whole = length == size && source.parts.empty();
  part.digests = is_whole && upload.checksum_name.find("sha") == std::string::npos ? source.digests
                                                                                   : digest(part.content, {true, true});
  part.etag = etag_of(part.digests, upload.attributes);
  part.modified = state_.now();
  Answer answer =
      document("CopyPartResult", element("LastModified", to_iso8601(part.modified)) +
                                     element("ETag", in_quotes(part.etag)) + part_checksum_element(upload, part));
  upload.parts[number] = std::move(part);
  return answer;
}

Answer Operations::complete_upload(const Request& request, const Received& received) {
  Bucket& bucket = bucket_of(request);
  Upload& upload = upload_of(request, bucket);
  verify_digests(request, received);
  const std::vector<ListedPart> listed = listed_parts(received, upload);
  check_parts(listed, upload);
  Version version;
  std::vector<Digests> digests;
  std::vector<std::string> etags;
  for (const ListedPart& each : listed) {
    const auto number = static_cast<std::uint32_t>(each.number);
    const Part& part = upload.parts.at(number);
    version.content.append(part.content);
    version.digests.size += part.digests.size;
    version.parts.push_back({number, part.digests.size, checksum_bytes(part.digests, upload.checksum_name)});
    digests.push_back(part.digests);
    etags.push_back(part.etag);
  }
  version.checksum = whole_checksum(upload, digests);
  check_whole(request, upload, *version.checksum, version.digests.size);
  check_write_conditions(request, bucket.current(request.key));
  version.etag = etag_of_parts(etags);
  version.attributes = upload.attributes;
  version.modified = upload.initiated;  // as in S3: the object is as old as its upload
  bucket.uploads.erase(upload.id);
  const Version& kept = bucket.add(request.key, std::move(version));
  Answer answer = document("CompleteMultipartUploadResult",
                           element("Location", "/" + bucket.name + "/" + percent_encode(request.key, true)) +
                               element("Bucket", bucket.name) + element("Key", request.key) +
                               element("ETag", in_quotes(kept.etag)) + checksum_elements(*kept.checksum));
  add_encryption(answer.headers, kept.attributes);
  if (!bucket.versioning.empty()) answer.headers.add("x-amz-version-id", kept.id);
  return answer;
}

Answer Operations::abort_upload(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  bucket.uploads.erase(upload_of(request, bucket).id);
  return {.status = 204};
}

Answer Operations::list_parts(const Request& request, const Received&) {
  Bucket& bucket = bucket_of(request);
  const Upload& upload = upload_of(request, bucket);
  const std::uint64_t marker = number_of(request, "part-number-marker", 0);
  const std::size_t most = page_of(request, "max-parts");
  std::string parts;
  std::uint64_t last = marker;
  std::size_t count = 0;
  bool is_truncated = false;
  for (const auto& [number, part] : upload.parts) {
    if (number <= marker) continue;
    if (count == most) {
      is_truncated = true;
      break;
    }
    parts += "<Part>" + element("PartNumber", std::to_string(number)) +
             element("LastModified", to_iso8601(part.modified)) + element("ETag", in_quotes(part.etag)) +
             element("Size", std::to_string(part.digests.size)) + part_checksum_element(upload, part) + "</Part>";
    last = number;
    ++count;
  }
  std::string xml = element("Bucket", bucket.name) + element("Key", upload.key) + element("UploadId", upload.id) +
                    element("StorageClass", upload.attributes.storage_class) +
                    element("PartNumberMarker", std::to_string(marker)) +
                    element("NextPartNumberMarker", std::to_string(last)) + element("MaxParts", std::to_string(most)) +
                    element("IsTruncated", is_truncated ? "true" : "false");
  if (!upload.checksum_name.empty()) {
    xml += element("ChecksumAlgorithm", checksum_element_name(upload.checksum_name).substr(8)) +
           element("ChecksumType", upload.checksum_type);
  }
  Answer answer = document("ListPartsResult", xml + parts);
  add_abort_rule(answer.headers, bucket, upload);
  return answer;
}

Answer Operations::list_uploads(const Request& request, const Received&) {
  const Bucket& bucket = bucket_of(request);
  std::vector<const Upload*> all;  // by key, then the oldest first
  for (const auto& [id, upload] : bucket.uploads) {
    if (upload.key.starts_with(request.parameter("prefix"))) all.push_back(&upload);
  }
  const auto order = [](const Upload& upload) { return std::tuple(upload.key, upload.initiated, upload.id); };
  std::sort(all.begin(), all.end(), [&](const Upload* a, const Upload* b) { return order(*a) < order(*b); });
  const std::string key_marker = request.parameter("key-marker"), id_marker = request.parameter("upload-id-marker");
  if (!key_marker.empty()) {
    const auto passed = [&](const Upload* upload) {
      if (upload->key != key_marker || id_marker.empty()) return upload->key <= key_marker;
      const auto marked = bucket.uploads.find(id_marker);
      return marked == bucket.uploads.end() || order(*upload) <= order(marked->second);
    };
    all.erase(all.begin(), std::find_if_not(all.begin(), all.end(), passed));
  }
  const std::size_t most = page_of(request, "max-uploads");
  const bool is_truncated = all.size() > most;
  if (is_truncated) all.resize(most);
  std::string xml = element("Bucket", bucket.name) + element("KeyMarker", listed_name(request, key_marker)) +
                    element("UploadIdMarker", id_marker) + element("MaxUploads", std::to_string(most)) +
                    element("IsTruncated", is_truncated ? "true" : "false");
  if (request.has("encoding-type")) xml += element("EncodingType", "url");
  if (is_truncated) {
    xml +=
        element("NextKeyMarker", listed_name(request, all.back()->key)) + element("NextUploadIdMarker", all.back()->id);
  }
  for (const Upload* const upload : all) {
    xml += "<Upload>" + element("Key", listed_name(request, upload->key)) + element("UploadId", upload->id) +
           element("StorageClass", upload->attributes.storage_class) +
           element("Initiated", to_iso8601(upload->initiated));
    if (!upload->checksum_name.empty()) {
      xml += element("ChecksumAlgorithm", checksum_element_name(upload->checksum_name).substr(8)) +
             element("ChecksumType", upload->checksum_type);
    }
    xml += "</Upload>";
  }
  return document("ListMultipartUploadsResult", xml);
}

}  // namespace bale::testing::s3
