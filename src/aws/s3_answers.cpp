#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <unordered_map>

#include "aws/s3.hpp"
#include "aws/s3_checksum.hpp"
#include "aws/xml.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using http::AnswerHead;

Error corrupt(std::string what, const std::string& where) {
  return Error(ErrorKind::corrupt, std::move(what), where, "check that the endpoint is the right one");
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "bytes 0-9/100" in numbers.
struct ContentRange {
  ByteCount first, last, size;
};

std::optional<ContentRange> parse_content_range(const AnswerHead& head, const std::string& where) {
  std::string_view text = head.headers.get("content-range");
  if (text.empty()) return std::nullopt;
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (text.starts_with("bytes ") && dash != std::string_view::npos && slash != std::string_view::npos && dash < slash) {
    const auto first = to_number(text.substr(6, dash - 6)), last = to_number(text.substr(dash + 1, slash - dash - 1)),
               size = to_number(text.substr(slash + 1));
    if (first && last && size && *first <= *last && *last < *size) return ContentRange{*first, *last, *size};
  }
  throw corrupt("the answer's Content-Range makes no sense: " + escape_for_terminal(text), where);
}

ByteCount content_length(const AnswerHead& head, const std::string& where) {
  const std::optional<std::uint64_t> length = to_number(head.headers.get("content-length"));
  if (length) return *length;
  if (!head.headers.get("content-length").empty()) throw corrupt("the answer's Content-Length is no number", where);
  throw Error(ErrorKind::unsupported, "the server does not say how long the object is", where,
              "send the request to the server directly: a proxy may have removed Content-Length");
}

TimePoint to_time(std::string_view text, const char* name, const std::string& where) {
  try {
    return parse_time(text);
  } catch (const Error& error) {
    throw corrupt(fmt::format("{} of the answer is no time", name), where).with_cause(error);
  }
}

TimePoint time_of(const pugi::xml_node& node, const char* name, const std::string& where) {
  return to_time(node.child(name).text().get(), name, where);
}

bool is_true(const pugi::xml_node& node, const char* name) { return child_text(node, name) == "true"; }

/// Decodes names where the answer says that they are encoded. S3 writes a space as '+'; others write %20, and '+' as
/// %2B.
class Names {
 public:
  explicit Names(const pugi::xml_node& root) : encoded_(child_text(root, "EncodingType") == "url") {}
  std::string text(const pugi::xml_node& node, const char* name) const {
    return decoded(node.child(name).text().get());
  }
  std::string decoded(const char* raw) const { return encoded_ ? form_decode(raw) : std::string(raw); }

 private:
  bool encoded_;
};

/// Returns the restore of an archived object as its element in a listing tells it.
store::ListedRestore restore_of(const pugi::xml_node& status, const std::string& where) {
  store::ListedRestore restore{.in_progress = is_true(status, "IsRestoreInProgress"), .expiry = {}};
  if (status.child("RestoreExpiryDate")) restore.expiry = time_of(status, "RestoreExpiryDate", where);
  return restore;
}

/// Which checksum a listing says that the store keeps of an object.
class ChecksumKind {
 public:
  void add_algorithm(std::string_view word) {
    for (const ChecksumNames& names : checksum_names) {
      if (word != names.word) continue;
      if (best_ == nullptr || &names < best_) best_ = &names;
    }
  }
  void set_type(std::string_view type) { type_ = type; }
  /// Of several algorithms the cheapest is told.
  void tell(store::ListedObject& object) const {
    if (best_ == nullptr) return;
    object.checksum_algorithm = best_->algorithm;
    object.checksum_is_whole = type_.empty() ? parts_of_etag(object.etag) == 0 : type_ == "FULL_OBJECT";
  }

 private:
  const ChecksumNames* best_ = nullptr;  ///< in checksum_names, the cheapest of which is the first
  std::string_view type_;
};

/// Reads an object of a listing, in one pass over its elements: there are millions.
void read_object(store::ListedObject& object, const pugi::xml_node& node, const Names& names, bool has_size,
                 const std::string& where) {
  ChecksumKind checksum;
  pugi::xml_node time, size;
  for (const pugi::xml_node& child : node.children()) {
    const std::string_view name = child.name();
    const char* const text = child.text().get();
    if (name == "Key") {
      object.key = ObjectKey(names.decoded(text));
    } else if (name == "ETag") {
      object.etag = parse_etag(text);
    } else if (name == "LastModified") {
      time = child;
    } else if (name == "Size") {
      size = child;
    } else if (name == "StorageClass") {
      if (*text != '\0') object.storage_class = text;
    } else if (name == "ChecksumAlgorithm") {
      checksum.add_algorithm(text);
    } else if (name == "ChecksumType") {
      checksum.set_type(text);
    } else if (name == "RestoreStatus") {
      object.restore = restore_of(child, where);
    }
  }
  checksum.tell(object);
  object.last_modified = to_time(time.text().get(), "LastModified", where);
  if (!has_size) return;
  const std::optional<std::uint64_t> bytes = to_number(size.text().get());
  if (!bytes) throw corrupt("Size of the answer is no number", where);
  object.size = *bytes;
}

/// Returns the cheapest checksum of the whole object that the answer tells. `is_part`: the answer is of a ranged read,
/// which may tell the checksum of a part.
std::optional<store::Checksum> checksum_of(const AnswerHead& head, bool is_part) {
  if (is_part || head.headers.get("x-amz-checksum-type") == "COMPOSITE") return std::nullopt;
  for (const ChecksumNames& names : checksum_names) {
    if (auto checksum = parse_checksum(names, head.headers.get(names.header))) return checksum;
  }
  return std::nullopt;
}

/// Returns the checksum that a listing tells of a part; absent where it tells none.
std::optional<store::Checksum> checksum_of_part(const pugi::xml_node& part) {
  for (const ChecksumNames& names : checksum_names) {
    if (auto checksum = parse_checksum(names, child_text(part, names.element))) return checksum;
  }
  return std::nullopt;
}

/// Parses the body of a 200 that may be a failure all the same.
void parse_xml_or_failure(pugi::xml_document& document, const AnswerHead& head, std::string_view body,
                          std::string_view root, const std::string& where) {
  parse_xml(document, body, "", where);
  if (std::string_view(document.document_element().name()) == "Error") {
    ServiceFailure failure = parse_xml_failure(head, body);
    failure.status = 500;  // what S3 would have said, had it known when it sent the head
    throw to_error(failure, where);
  }
  if (!std::string_view(document.document_element().name()).starts_with(root))
    throw not_from_service(fmt::format("the answer is not a {}", root), where);
}

/// Parses an answer that moto names after the operation and S3 after the thing.
void parse_xml_of(pugi::xml_document& document, std::string_view body, std::string_view root, std::string_view by_moto,
                  const std::string& where) {
  parse_xml(document, body, "", where);
  const std::string_view name = document.document_element().name();
  if (name != root && name != by_moto)
    throw not_from_service(fmt::format("the answer is a {}, not a {}", escape_for_terminal(name), root), where);
}

/// S3 tells the ETag of every object; what has none is a page.
ETag require_etag(ETag etag, const std::string& where) {
  if (etag.empty()) throw not_from_service("the answer has no ETag", where);
  return etag;
}

/// Parses a listing and returns its root. Every listing says at least whose it is: one that says nothing at all is not
/// an empty one.
pugi::xml_node parse_listing(pugi::xml_document& document, std::string_view body, const char* root,
                             const std::string& where) {
  parse_xml(document, body, root, where);
  const pugi::xml_node element = document.document_element();
  if (!element.find_child([](const pugi::xml_node& child) { return child.type() == pugi::node_element; }))
    throw not_from_service("the answer is a listing that says nothing", where);
  return element;
}

VersionId version_of(const AnswerHead& head) { return VersionId(head.headers.get("x-amz-version-id")); }

/// Returns the version that the next page of a listing goes on after: `said`, NextVersionIdMarker, or the last version
/// of `key` in this page where `said` cannot be. OpenStack Swift 2.30 always says "null", and a listing that goes on
/// after the null version of a key leaves out all its older versions, or ends.
std::string next_version(const std::vector<store::ListedVersion>& versions, const std::string& key,
                         const std::string& said) {
  if (said != "null") return said;
  std::string last = said;
  for (const store::ListedVersion& each : versions) {
    if (each.key.str() != key) continue;
    if (each.version_id.str() == said) return said;
    last = each.version_id.str();
  }
  return last;
}

/// What became of the objects of one remove_all(). Servers name them in the order of the request, or in another.
class RemovedObjects {
 public:
  RemovedObjects(const BucketName& bucket, const std::vector<store::ObjectToRemove>& objects)
      : bucket_(bucket), objects_(objects), outcomes_(objects.size()), is_named_(objects.size()) {
    for (std::size_t i = 0; i < objects.size(); ++i) indices_.emplace(objects[i].key.str(), i);
  }
  /// Notes the outcome of the version of the key, or of one that is not named yet where the answer names no version of
  /// the request.
  void set(const ObjectKey& key, const VersionId& version, store::RemoveOutcome outcome) {
    const auto [first, last] = indices_.equal_range(key.str());
    auto found = std::find_if(first, last, [&](const auto& each) {
      return !is_named_[each.second] && objects_[each.second].version_id == version;
    });
    if (found == last) found = std::find_if(first, last, [&](const auto& each) { return !is_named_[each.second]; });
    if (found == last) return;
    is_named_[found->second] = true;
    // OpenStack Swift names keys alone.
    if (outcome.result.version_id.empty()) outcome.result.version_id = objects_[found->second].version_id;
    outcomes_[found->second] = std::move(outcome);
  }
  std::vector<store::RemoveOutcome> take() {
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (is_named_[i]) continue;
      outcomes_[i].error = Error(ErrorKind::unavailable, "the answer does not tell whether the object was deleted",
                                 to_uri({bucket_, objects_[i].key}));
    }
    return std::move(outcomes_);
  }

 private:
  const BucketName& bucket_;
  const std::vector<store::ObjectToRemove>& objects_;
  std::vector<store::RemoveOutcome> outcomes_;
  std::vector<bool> is_named_;
  std::unordered_multimap<std::string_view, std::size_t> indices_;
};

}  // namespace

store::ObjectInfo parse_object_info(const AnswerHead& head, const std::string& where) {
  store::ObjectInfo info;
  info.etag = require_etag(parse_etag(head.headers.get("etag")), where);
  const std::optional<ContentRange> range = parse_content_range(head, where);
  info.size = range ? range->size : content_length(head, where);
  info.version_id = version_of(head);
  if (const std::string_view date = head.headers.get("last-modified"); !date.empty()) {
    const std::optional<TimePoint> modified = parse_http_date(date);
    if (!modified) throw corrupt("the answer's Last-Modified is no date", where);
    info.last_modified = *modified;
  }
  info.headers = {std::string(head.headers.get("content-type")),
                  std::string(head.headers.get("cache-control")),
                  std::string(head.headers.get("content-disposition")),
                  std::string(head.headers.get("content-encoding")),
                  std::string(head.headers.get("content-language")),
                  std::string(head.headers.get("expires")),
                  std::string(head.headers.get("x-amz-website-redirect-location"))};
  constexpr std::string_view prefix = "x-amz-meta-";
  for (const http::Header& header : head.headers) {
    const std::string name = to_lower(header.name);
    if (name.starts_with(prefix)) info.metadata[name.substr(prefix.size())] = decode_words(header.value);
  }
  info.tag_count = to_number(head.headers.get("x-amz-tagging-count")).value_or(0);
  const std::string_view storage_class = head.headers.get("x-amz-storage-class");
  if (!storage_class.empty()) info.storage_class = storage_class;  // STANDARD is left out
  info.kms_key_arn = head.headers.get("x-amz-server-side-encryption-aws-kms-key-id");
  info.is_etag_opaque = head.headers.get("x-amz-server-side-encryption").starts_with("aws:kms") ||
                        head.headers.find("x-amz-server-side-encryption-customer-algorithm") != nullptr ||
                        !info.kms_key_arn.empty();
  info.checksum = checksum_of(head, range.has_value());
  info.restore = head.headers.get("x-amz-restore");
  info.archive_status = head.headers.get("x-amz-archive-status");
  return info;
}

bool tells_size(const AnswerHead& head) noexcept {
  return !head.headers.get("content-length").empty() || !head.headers.get("content-range").empty();
}

std::uint32_t parts_of_etag(const ETag& etag) noexcept {
  const std::string_view text = etag.str();
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return 0;
  const std::uint64_t parts = to_number(text.substr(dash + 1)).value_or(0);
  return parts <= store::max_parts ? static_cast<std::uint32_t>(parts) : 0;
}

ByteCount parse_part_bytes(const AnswerHead& head) noexcept {
  return to_number(head.headers.get("content-length")).value_or(0);
}

GotRange parse_got_range(const AnswerHead& head, const std::string& where) {
  const std::optional<ContentRange> range = parse_content_range(head, where);
  if (!range) return {0, content_length(head, where)};
  const ByteCount length = range->last - range->first + 1;
  const bool has_length = !head.headers.get("content-length").empty();
  if (has_length && content_length(head, where) != length)
    throw corrupt("Content-Range and Content-Length disagree", where);
  return {range->first, length};
}

store::PutResult parse_put(const AnswerHead& head, const std::string& where) {
  return {parse_part(head, where), version_of(head)};
}

ETag parse_part(const AnswerHead& head, const std::string& where) {
  return require_etag(parse_etag(head.headers.get("etag")), where);
}

store::DeleteResult parse_remove(const AnswerHead& head) {
  return {version_of(head), head.headers.get("x-amz-delete-marker") == "true"};
}

std::vector<store::RemoveOutcome> parse_remove_all(const AnswerHead& head, std::string_view body,
                                                   const BucketName& bucket,
                                                   const std::vector<store::ObjectToRemove>& objects) {
  const std::string where = "s3://" + bucket.str();
  pugi::xml_document document;
  // moto calls it DeleteObjectsResponse.
  parse_xml_or_failure(document, head, body, "Delete", where);
  RemovedObjects removed(bucket, objects);
  for (const pugi::xml_node& node : document.document_element().children()) {
    const std::string_view kind = node.name();
    if (kind != "Deleted" && kind != "Error") continue;
    const ObjectKey key(child_text(node, "Key"));
    const VersionId version(child_text(node, "VersionId"));
    if (kind == "Deleted") {
      const std::string marker = child_text(node, "DeleteMarkerVersionId");
      removed.set(key, version,
                  {.result = {version.empty() ? VersionId(marker) : version, is_true(node, "DeleteMarker")}});
    } else {
      // The status stands for none: what a code unknown here means, only a person can tell.
      constexpr int bad_request = 400;
      ServiceFailure failure{.status = bad_request,
                             .code = child_text(node, "Code"),
                             .message = child_text(node, "Message"),
                             .region = {},
                             .request_id = std::string(head.headers.get("x-amz-request-id")),
                             .retry_after = {}};
      removed.set(key, version, {.result = {}, .error = to_error(failure, to_uri({bucket, key}))});
    }
  }
  return removed.take();
}

store::PutResult parse_copy(const AnswerHead& head, std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_or_failure(document, head, body, "CopyObjectResult", where);
  return {require_etag(parse_etag(child_text(document.document_element(), "ETag")), where), version_of(head)};
}

ETag parse_part_copy(const AnswerHead& head, std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_or_failure(document, head, body, "CopyPartResult", where);
  return require_etag(parse_etag(child_text(document.document_element(), "ETag")), where);
}

store::PutResult parse_complete(const AnswerHead& head, std::string_view body, const std::string& where) {
  pugi::xml_document document;
  // moto calls it CompleteMultipartUploadResponse.
  parse_xml_or_failure(document, head, body, "CompleteMultipartUpload", where);
  const pugi::xml_node etag = document.document_element().child("ETag");
  if (!etag) throw corrupt("the answer has no ETag", where);
  return {parse_etag(etag.text().get()), version_of(head)};
}

UploadId parse_create_upload(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml(document, body, "InitiateMultipartUploadResult", where);
  UploadId upload(child_text(document.document_element(), "UploadId"));
  if (upload.empty()) throw corrupt("the answer has no UploadId", where);
  return upload;
}

store::ListPage parse_list(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  const pugi::xml_node root = parse_listing(document, body, "ListBucketResult", where);
  const Names names(root);
  store::ListPage page;
  for (const pugi::xml_node& node : root.children("Contents")) {
    store::ListedObject& object = page.objects.emplace_back();
    read_object(object, node, names, /*has_size=*/true, where);
  }
  for (const pugi::xml_node& node : root.children("CommonPrefixes"))
    page.common_prefixes.push_back(names.text(node, "Prefix"));
  if (is_true(root, "IsTruncated")) {
    page.next = child_text(root, "NextContinuationToken");
    if (page.next.empty()) throw corrupt("the page is not the last, but names no next one", where);
  }
  return page;
}

store::VersionPage parse_versions(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  const pugi::xml_node root = parse_listing(document, body, "ListVersionsResult", where);
  const Names names(root);
  store::VersionPage page;
  for (const pugi::xml_node& node : root.children()) {
    const std::string_view kind = node.name();
    if (kind != "Version" && kind != "DeleteMarker") continue;
    store::ListedVersion& version = page.versions.emplace_back();
    version.is_delete_marker = kind == "DeleteMarker";
    read_object(version, node, names, /*has_size=*/!version.is_delete_marker, where);
    version.version_id = VersionId(child_text(node, "VersionId"));
    version.is_latest = is_true(node, "IsLatest");
  }
  if (is_true(root, "IsTruncated")) {
    const std::string key = names.text(root, "NextKeyMarker");
    if (key.empty()) throw corrupt("the page is not the last, but names no next one", where);
    const std::string version = next_version(page.versions, key, child_text(root, "NextVersionIdMarker"));
    page.next = "key-marker=" + percent_encode(key);
    if (!version.empty()) page.next += "&version-id-marker=" + percent_encode(version);
  }
  return page;
}

store::Tags parse_tags(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml(document, body, "Tagging", where);
  store::Tags tags;
  for (const pugi::xml_node& node : document.document_element().child("TagSet").children("Tag"))
    tags[child_text(node, "Key")] = child_text(node, "Value");
  return tags;
}

store::Versioning parse_versioning(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_of(document, body, "VersioningConfiguration", "GetBucketVersioningResponse", where);
  const std::string status = child_text(document.document_element(), "Status");
  if (status == "Enabled") return store::Versioning::enabled;
  return status == "Suspended" ? store::Versioning::suspended : store::Versioning::never;
}

std::vector<store::NotificationRule> parse_notifications(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_of(document, body, "NotificationConfiguration", "GetBucketNotificationResponse", where);
  std::vector<store::NotificationRule> rules;
  for (const pugi::xml_node& node : document.document_element().children("QueueConfiguration")) {
    store::NotificationRule rule{child_text(node, "Id"), child_text(node, "Queue"), {}, {}, {}};
    for (const pugi::xml_node& event : node.children("Event")) rule.events.emplace_back(event.text().get());
    for (const pugi::xml_node& filter : node.child("Filter").child("S3Key").children("FilterRule")) {
      const std::string name = to_lower(child_text(filter, "Name"));  // S3 answers "Prefix"
      if (name == "prefix") rule.prefix = child_text(filter, "Value");
      if (name == "suffix") rule.suffix = child_text(filter, "Value");
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string parse_other_notifications(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_of(document, body, "NotificationConfiguration", "GetBucketNotificationResponse", where);
  std::ostringstream others;
  for (const pugi::xml_node& node : document.document_element().children()) {
    if (node.type() == pugi::node_element && std::string_view(node.name()) != "QueueConfiguration")
      node.print(others, "", pugi::format_raw);
  }
  return others.str();
}

Page<store::BucketInfo> parse_buckets(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  const pugi::xml_node root = parse_listing(document, body, "ListAllMyBucketsResult", where);
  Page<store::BucketInfo> page;
  for (const pugi::xml_node& node : root.child("Buckets").children("Bucket")) {
    page.items.push_back({BucketName(child_text(node, "Name")), Region(child_text(node, "BucketRegion")),
                          time_of(node, "CreationDate", where)});
  }
  page.next = child_text(root, "ContinuationToken");
  return page;
}

Page<store::ListedUpload> parse_uploads(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  const pugi::xml_node root = parse_listing(document, body, "ListMultipartUploadsResult", where);
  const Names names(root);
  Page<store::ListedUpload> page;
  for (const pugi::xml_node& node : root.children("Upload")) {
    page.items.push_back({ObjectKey(names.text(node, "Key")), UploadId(child_text(node, "UploadId")),
                          time_of(node, "Initiated", where)});
  }
  if (is_true(root, "IsTruncated")) {
    const std::string key = names.text(root, "NextKeyMarker");
    if (key.empty()) throw corrupt("the page is not the last, but names no next one", where);
    page.next = "key-marker=" + percent_encode(key) +
                "&upload-id-marker=" + percent_encode(child_text(root, "NextUploadIdMarker"));
  }
  return page;
}

Page<store::UploadedPart> parse_parts(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml_of(document, body, "ListPartsResult", "ListPartsResponse", where);
  const pugi::xml_node root = document.document_element();
  Page<store::UploadedPart> page;
  for (const pugi::xml_node& node : root.children("Part")) {
    const std::uint64_t number = child_number(node, "PartNumber", where);
    if (number == 0 || number > store::max_parts) throw corrupt("the answer has an impossible part number", where);
    page.items.push_back({static_cast<std::uint32_t>(number), parse_etag(child_text(node, "ETag")),
                          child_number(node, "Size", where), checksum_of_part(node)});
  }
  if (is_true(root, "IsTruncated")) {
    if (page.items.empty()) throw corrupt("the page is not the last, but is empty", where);
    page.next = std::to_string(page.items.back().number);
  }
  return page;
}

}  // namespace bale::aws
