#include <fmt/format.h>

#include <algorithm>

#include "aws/answer.hpp"
#include "aws/s3.hpp"
#include "aws/s3_checksum.hpp"
#include "aws/xml.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using http::Headers;
using http::Method;

constexpr std::string_view xml_namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Adds "name=value", encoded; nothing when the value is empty.
void add_parameter(std::string& query, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  if (!query.empty()) query += '&';
  query += name;
  query += '=';
  query += percent_encode(value);
}

std::string with_version(std::string query, const VersionId& version) {
  add_parameter(query, "versionId", version.str());
  return query;
}

void add_header(Headers& headers, const char* name, const std::string& value) {
  if (!value.empty()) headers.add(name, value);
}

std::string quoted(const ETag& etag) { return "\"" + etag.str() + "\""; }

/// The Content-Type that S3 gives an object if the request names none. Other servers take that of a later request.
constexpr const char* default_content_type = "binary/octet-stream";

/// Returns the header value for `value`: an encoded word of RFC 2047, as S3 returns it, if `value` is not ASCII or
/// looks like an encoded word itself, or begins or ends with a space, which HTTP would drop. Bytes that are not UTF-8
/// stay as they are.
std::string encoded_word(const std::string& value) {
  const bool is_ascii = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  const bool is_trimmed = !value.starts_with(' ') && !value.ends_with(' ');
  if ((is_ascii && is_trimmed && decode_words(value) == value) || !is_utf8(value)) return value;
  return "=?UTF-8?B?" + to_base64(as_bytes(value)) + "?=";
}

/// Returns the metadata as header values: unencoded if only the encoded words are longer than S3 accepts.
store::UserMetadata encoded_metadata(const store::UserMetadata& metadata) {
  store::UserMetadata encoded;
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) {
    const std::string& word = encoded[name] = encoded_word(value);
    bytes += name.size() + word.size();
  }
  return bytes <= store::max_user_metadata_bytes ? encoded : metadata;
}

/// All that is stored with an object, tags included, so that it is there from the first moment.
void add_attributes(Headers& headers, const store::ObjectAttributes& attributes) {
  const store::SystemHeaders& system = attributes.headers;
  headers.add("Content-Type", system.content_type.empty() ? default_content_type : system.content_type);
  add_header(headers, "Cache-Control", system.cache_control);
  add_header(headers, "Content-Disposition", system.content_disposition);
  add_header(headers, "Content-Encoding", system.content_encoding);
  add_header(headers, "Content-Language", system.content_language);
  add_header(headers, "Expires", system.expires);
  add_header(headers, "x-amz-website-redirect-location", system.website_redirect);
  for (const auto& [name, value] : encoded_metadata(attributes.metadata)) headers.add("x-amz-meta-" + name, value);
  std::string tags;
  for (const auto& [name, value] : attributes.tags) {
    if (!tags.empty()) tags += '&';
    tags += percent_encode(name) + "=" + percent_encode(value);
  }
  add_header(headers, "x-amz-tagging", tags);
  if (attributes.storage_class != "STANDARD") add_header(headers, "x-amz-storage-class", attributes.storage_class);
  if (!attributes.kms_key_arn.empty()) {
    headers.add("x-amz-server-side-encryption", "aws:kms");
    headers.add("x-amz-server-side-encryption-aws-kms-key-id", attributes.kms_key_arn);
  } else {
    add_header(headers, "x-amz-server-side-encryption", attributes.encryption);
  }
}

/// A condition that held the first time fails the second: such a request is not repeated silently. The tag goes without
/// quotes: S3 takes both, Ceph RGW 16 compares what comes with the bare tag of the object that is there.
void add_conditions(http::Request& request, const store::WriteConditions& conditions) {
  if (conditions.if_none_match) request.headers.add("If-None-Match", "*");
  if (!conditions.if_match.empty()) request.headers.add("If-Match", conditions.if_match.str());
  if (conditions.if_none_match || !conditions.if_match.empty()) request.may_repeat = false;
}

void add_copy_source(Headers& headers, const store::CopySource& from) {
  std::string source = percent_encode(from.address.bucket.str()) + "/" + percent_encode(from.address.key.str(), true);
  if (!from.version_id.empty()) source += "?versionId=" + percent_encode(from.version_id.str());
  headers.add("x-amz-copy-source", source);
  if (!from.if_match.empty()) headers.add("x-amz-copy-source-if-match", quoted(from.if_match));
}

std::string range_text(const store::ByteRange& range) {
  if (range.suffix) return fmt::format("bytes=-{}", *range.suffix);
  return fmt::format("bytes={}-{}", range.first, range.last);
}

std::string element(std::string_view name, std::string_view text) {
  return fmt::format("<{0}>{1}</{0}>", name, escape_xml(text));
}

std::string checksum_element(const store::Checksum& checksum) {
  return element(names_of(checksum.algorithm).element, encode_checksum(checksum));
}

/// Sets an XML body in S3's namespace, and its Content-MD5, which S3 demands for some of them.
void set_body(Call& call, std::string_view root, const std::string& content) {
  call.body = fmt::format("<{0} xmlns=\"{1}\">{2}</{0}>", root, xml_namespace, content);
  call.request.headers.add("Content-Type", "application/xml");
  call.request.headers.add("Content-MD5", to_base64(Md5::of(as_bytes(call.body))));
}

void add_optional_attributes(Call& call, const store::ListRequest& request) {
  if (request.with_restore_status) call.request.headers.add("x-amz-optional-object-attributes", "RestoreStatus");
}

std::string rule_xml(const store::NotificationRule& rule) {
  std::string xml = rule.id.empty() ? "" : element("Id", rule.id);
  xml += element("Queue", rule.queue);
  for (const std::string& event : rule.events) xml += element("Event", event);
  std::string filter;
  for (const auto& [name, value] : {std::pair("prefix", rule.prefix), std::pair("suffix", rule.suffix)}) {
    if (!value.empty()) filter += "<FilterRule>" + element("Name", name) + element("Value", value) + "</FilterRule>";
  }
  if (!filter.empty()) xml += "<Filter><S3Key>" + filter + "</S3Key></Filter>";
  return "<QueueConfiguration>" + xml + "</QueueConfiguration>";
}

}  // namespace

bool fits_in_xml(const ObjectKey& key) noexcept {
  const std::string_view text = key.str();
  constexpr unsigned char first_printable = 0x20, del = 0x7F;
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= first_printable && byte != del;
  });
  // U+FFFE and U+FFFF are no characters of XML 1.0. https://www.w3.org/TR/xml/#charsets
  const bool has_none =
      text.find("\xEF\xBF\xBE") == std::string_view::npos && text.find("\xEF\xBF\xBF") == std::string_view::npos;
  return is_plain && has_none && is_utf8(text) && !text.starts_with(' ') && !text.ends_with(' ');
}

Call S3Requests::to(Method method, const BucketName& bucket, std::string query) const {
  return address(method, {bucket, {}}, std::move(query));
}

Call S3Requests::to(Method method, const ObjectAddress& object, std::string query) const {
  // It would be a request for the bucket: a DELETE would delete that.
  if (object.key.empty())
    throw Error(ErrorKind::invalid, "an object key must not be empty", to_uri(object)).with_code("InvalidArgument");
  return address(method, object, std::move(query));
}

Call S3Requests::address(Method method, const ObjectAddress& object, std::string query) const {
  // Nothing, or what a path takes for something else, would be a request for another bucket.
  const std::string& name = object.bucket.str();
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not a bucket name", escape_for_terminal(name)))
        .with_code("InvalidBucketName");
  }
  Call call;
  call.request.method = method;
  call.request.query = std::move(query);
  address_bucket(call.request, endpoint_, addressing_, object.bucket, object.key);
  return call;
}

void S3Requests::add_checksum(Headers& headers, const store::Checksum& checksum) const {
  if (sends_checksums_) headers.add(names_of(checksum.algorithm).header, encode_checksum(checksum));
}

/// Adds the digests of the body that the caller streams.
void S3Requests::add_digests(Headers& headers, const store::BodyDigests& digests) const {
  if (digests.md5) headers.add("Content-MD5", to_base64(*digests.md5));
  if (digests.checksum) add_checksum(headers, *digests.checksum);
}

// --- Buckets --------------------------------------------------------------------------------------------------------

Call S3Requests::create_bucket(const BucketName& bucket) const {
  Call call = to(Method::put, bucket, "");
  call.request.may_repeat = false;
  // us-east-1 is what no constraint means, and S3 refuses to be told.
  if (endpoint_.region != "us-east-1")
    set_body(call, "CreateBucketConfiguration", element("LocationConstraint", endpoint_.region));
  return call;
}

Call S3Requests::delete_bucket(const BucketName& bucket) const { return to(Method::del, bucket, ""); }
Call S3Requests::head_bucket(const BucketName& bucket) const { return to(Method::head, bucket, ""); }

Call S3Requests::list_buckets(const std::string& continuation) const {
  Call call;
  call.request.origin = endpoint_.origin;
  call.request.path = endpoint_.base_path + "/";
  add_parameter(call.request.query, "continuation-token", continuation);
  return call;
}

Call S3Requests::set_versioning(const BucketName& bucket, store::Versioning versioning) const {
  if (versioning == store::Versioning::never)
    throw Error(ErrorKind::invalid, "versioning can be suspended, but not undone", "s3://" + bucket.str());
  Call call = to(Method::put, bucket, "versioning");
  set_body(call, "VersioningConfiguration",
           element("Status", versioning == store::Versioning::enabled ? "Enabled" : "Suspended"));
  return call;
}

Call S3Requests::get_versioning(const BucketName& bucket) const { return to(Method::get, bucket, "versioning"); }

Call S3Requests::set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules,
                                   const std::string& others) const {
  Call call = to(Method::put, bucket, "notification");
  std::string xml;
  for (const store::NotificationRule& rule : rules) xml += rule_xml(rule);
  xml += others;
  set_body(call, "NotificationConfiguration", xml);
  return call;
}

Call S3Requests::get_notifications(const BucketName& bucket) const { return to(Method::get, bucket, "notification"); }

Call S3Requests::get_setting(const BucketName& bucket, const BucketSetting& setting) const {
  return to(Method::get, bucket, setting.query);
}

Call S3Requests::set_setting(const BucketName& bucket, const BucketSetting& setting, const std::string& content) const {
  Call call = to(Method::put, bucket, setting.query);
  set_body(call, setting.root, content);
  return call;
}

Call S3Requests::remove_setting(const BucketName& bucket, const BucketSetting& setting) const {
  return to(Method::del, bucket, setting.query);
}

// --- Objects --------------------------------------------------------------------------------------------------------

Call S3Requests::put(const ObjectAddress& object, const store::ObjectAttributes& attributes,
                     const store::WriteConditions& conditions, const store::BodyDigests& digests) const {
  Call call = to(Method::put, object, "");
  add_attributes(call.request.headers, attributes);
  add_digests(call.request.headers, digests);
  add_conditions(call.request, conditions);
  return call;
}

Call S3Requests::get(const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                     const store::ReadConditions& conditions) const {
  Call call = head(object, conditions);
  call.request.method = Method::get;
  if (range) call.request.headers.add("Range", range_text(*range));
  return call;
}

Call S3Requests::head(const ObjectAddress& object, const store::ReadConditions& conditions) const {
  Call call = to(Method::head, object, with_version("", conditions.version_id));
  if (!conditions.if_match.empty()) call.request.headers.add("If-Match", quoted(conditions.if_match));
  if (conditions.with_evidence) call.request.headers.add("x-amz-checksum-mode", "ENABLED");
  return call;
}

Call S3Requests::head_part(const ObjectAddress& object, const VersionId& version, std::uint32_t number) const {
  return to(Method::head, object, with_version(fmt::format("partNumber={}", number), version));
}

Call S3Requests::remove(const ObjectAddress& object, const VersionId& version,
                        const store::DeleteConditions& conditions) const {
  Call call = to(Method::del, object, with_version("", version));
  add_conditions(call.request, {.if_match = conditions.if_match});
  return call;
}

Call S3Requests::remove_all(const BucketName& bucket, const std::vector<store::ObjectToRemove>& objects) const {
  Call call = to(Method::post, bucket, "delete");
  std::string xml;
  for (const store::ObjectToRemove& object : objects) {
    xml += "<Object>" + element("Key", object.key.str());
    if (!object.version_id.empty()) xml += element("VersionId", object.version_id.str());
    if (!object.conditions.if_match.empty()) {
      xml += element("ETag", quoted(object.conditions.if_match));
      call.request.may_repeat = false;
    }
    xml += "</Object>";
  }
  set_body(call, "Delete", xml);
  return call;
}

Call S3Requests::copy(const store::CopySource& from, const ObjectAddress& to_object,
                      const std::optional<store::ObjectAttributes>& replace,
                      const store::WriteConditions& conditions) const {
  Call call = to(Method::put, to_object, "");
  add_copy_source(call.request.headers, from);
  if (replace) {
    call.request.headers.add("x-amz-metadata-directive", "REPLACE");
    call.request.headers.add("x-amz-tagging-directive", "REPLACE");
    add_attributes(call.request.headers, *replace);
  }
  // Said aloud: S3 means it when nothing is said, Ceph RGW 16 takes the source's class.
  if (!replace || replace->storage_class == "STANDARD") call.request.headers.add("x-amz-storage-class", "STANDARD");
  add_conditions(call.request, conditions);
  return call;
}

Call S3Requests::list(const BucketName& bucket, const store::ListRequest& request) const {
  std::string query = "list-type=2&encoding-type=url";  // keys may hold what XML cannot
  add_parameter(query, "continuation-token", request.continuation);
  add_parameter(query, "delimiter", request.delimiter);
  add_parameter(query, "max-keys", std::to_string(request.max_keys));
  add_parameter(query, "prefix", request.prefix);
  if (request.continuation.empty()) add_parameter(query, "start-after", request.start_after);
  Call call = to(Method::get, bucket, std::move(query));
  add_optional_attributes(call, request);
  return call;
}

Call S3Requests::list_versions(const BucketName& bucket, const store::ListRequest& request) const {
  std::string query = "versions&encoding-type=url";
  add_parameter(query, "delimiter", request.delimiter);
  add_parameter(query, "max-keys", std::to_string(request.max_keys));
  add_parameter(query, "prefix", request.prefix);
  if (request.continuation.empty())
    add_parameter(query, "key-marker", request.start_after);
  else
    query += "&" + request.continuation;  // as parse_versions() wrote it
  Call call = to(Method::get, bucket, std::move(query));
  add_optional_attributes(call, request);
  return call;
}

Call S3Requests::get_tags(const ObjectAddress& object, const VersionId& version) const {
  return to(Method::get, object, with_version("tagging", version));
}

Call S3Requests::set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) const {
  Call call = to(Method::put, object, with_version("tagging", version));
  set_body(call, "Tagging", tags_xml(tags));
  return call;
}

Call S3Requests::restore(const ObjectAddress& object, int days, const std::string& tier,
                         const VersionId& version) const {
  Call call = to(Method::post, object, with_version("restore", version));
  call.request.may_repeat = false;  // the second time says RestoreAlreadyInProgress
  std::string xml;
  if (days > 0) xml += element("Days", std::to_string(days));
  if (!tier.empty()) xml += "<GlacierJobParameters>" + element("Tier", tier) + "</GlacierJobParameters>";
  set_body(call, "RestoreRequest", xml);
  return call;
}

// --- Multipart ------------------------------------------------------------------------------------------------------

Call S3Requests::create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) const {
  Call call = to(Method::post, object, "uploads");
  call.request.may_repeat = false;  // a second upload would be left behind
  add_attributes(call.request.headers, attributes);
  if (attributes.checksum_algorithm && sends_checksums_) {
    const ChecksumNames& names = names_of(*attributes.checksum_algorithm);
    call.request.headers.add("x-amz-checksum-algorithm", names.word);
    call.request.headers.add("x-amz-checksum-type", names.type_of_uploads);
  }
  return call;
}

Call S3Requests::upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                             const store::BodyDigests& digests) const {
  std::string query = fmt::format("partNumber={}", number);
  add_parameter(query, "uploadId", upload.str());
  Call call = to(Method::put, object, std::move(query));
  add_digests(call.request.headers, digests);
  return call;
}

Call S3Requests::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                  const store::CopySource& from, const std::optional<store::ByteRange>& range) const {
  Call call = upload_part(object, upload, number);
  add_copy_source(call.request.headers, from);
  if (range) call.request.headers.add("x-amz-copy-source-range", range_text(*range));
  return call;
}

Call S3Requests::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                 const std::vector<store::UploadedPart>& parts,
                                 const store::WriteConditions& conditions) const {
  std::string query;
  add_parameter(query, "uploadId", upload.str());
  Call call = to(Method::post, object, std::move(query));
  std::string xml;
  ByteCount size = 0;
  bool sizes_known = true;
  for (const store::UploadedPart& part : parts) {
    xml += "<Part>" + element("PartNumber", std::to_string(part.number)) + element("ETag", quoted(part.etag));
    if (part.checksum && sends_checksums_) xml += checksum_element(*part.checksum);
    xml += "</Part>";
    size += part.size;
    sizes_known = sizes_known && part.size > 0;
  }
  set_body(call, "CompleteMultipartUpload", xml);
  call.request.headers.remove("Content-Type");  // some servers take it for the object's
  if (conditions.size || sizes_known)
    call.request.headers.add("x-amz-mp-object-size", std::to_string(conditions.size.value_or(size)));
  if (conditions.checksum && sends_checksums_) {
    add_checksum(call.request.headers, *conditions.checksum);
    call.request.headers.add("x-amz-checksum-type", names_of(conditions.checksum->algorithm).type_of_uploads);
  }
  add_conditions(call.request, conditions);
  call.request.may_repeat = false;  // the second time says NoSuchUpload
  return call;
}

Call S3Requests::abort_upload(const ObjectAddress& object, const UploadId& upload) const {
  std::string query;
  add_parameter(query, "uploadId", upload.str());
  return to(Method::del, object, std::move(query));
}

Call S3Requests::list_parts(const ObjectAddress& object, const UploadId& upload, std::uint32_t after_part) const {
  std::string query;
  if (after_part > 0) add_parameter(query, "part-number-marker", std::to_string(after_part));
  add_parameter(query, "uploadId", upload.str());
  return to(Method::get, object, std::move(query));
}

Call S3Requests::list_uploads(const BucketName& bucket, const std::string& prefix,
                              const std::string& continuation) const {
  std::string query = "uploads&encoding-type=url";
  add_parameter(query, "prefix", prefix);
  if (!continuation.empty()) query += "&" + continuation;  // as parse_uploads() wrote it
  return to(Method::get, bucket, std::move(query));
}

}  // namespace bale::aws
