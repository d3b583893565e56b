#include "support/scripted_s3/operations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

constexpr std::string_view xml_namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document of a bucket's settings.
struct Setting {
  std::string_view parameter, operation;  ///< "lifecycle", "BucketLifecycleConfiguration"
  std::string_view get_action, put_action;
  std::string_view missing_code;  ///< of 404; empty: `otherwise` is there
  std::string_view otherwise;
};

constexpr std::string_view default_encryption =
    "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>"
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    "<BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>";

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
constexpr Setting settings_of_buckets[] = {
    {"encryption", "BucketEncryption", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", "",
     default_encryption},
    {"publicAccessBlock", "PublicAccessBlock", "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
     "NoSuchPublicAccessBlockConfiguration", ""},
    {"lifecycle", "BucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration",
     "NoSuchLifecycleConfiguration", ""},
    {"tagging", "BucketTagging", "s3:GetBucketTagging", "s3:PutBucketTagging", "NoSuchTagSet", ""},
    {"versioning", "BucketVersioning", "s3:GetBucketVersioning", "s3:PutBucketVersioning", "",
     "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"},
    {"notification", "BucketNotificationConfiguration", "s3:GetBucketNotification", "s3:PutBucketNotification", "",
     "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"},
    {"policy", "BucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "NoSuchBucketPolicy", ""},
    {"ownershipControls", "BucketOwnershipControls", "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls",
     "OwnershipControlsNotFoundError", ""},
    {"replication", "BucketReplication", "s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration",
     "ReplicationConfigurationNotFoundError", ""},
    {"object-lock", "ObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration",
     "s3:PutBucketObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", ""},
};

const Setting* setting_of(const Request& request) {
  for (const Setting& setting : settings_of_buckets) {
    if (request.has(std::string(setting.parameter))) return &setting;
  }
  return nullptr;
}

std::string verb_of(const std::string& method) {
  if (method == "GET") return "Get";
  if (method == "PUT") return "Put";
  return method == "DELETE" ? "Delete" : "";
}

/// Request of a bucket.
std::string bucket_operation(const Request& request) {
  const std::string& method = request.method;
  if (const Setting* const setting = setting_of(request))
    return verb_of(method).empty() ? "" : verb_of(method) + std::string(setting->operation);
  if (method == "HEAD") return "HeadBucket";
  if (method == "PUT") return "CreateBucket";
  if (method == "DELETE") return "DeleteBucket";
  if (method == "POST") return request.has("delete") ? "DeleteObjects" : "";
  if (request.has("location")) return "GetBucketLocation";
  if (request.has("uploads")) return "ListMultipartUploads";
  if (request.has("versions")) return "ListObjectVersions";
  return request.parameter("list-type") == "2" ? "ListObjectsV2" : "ListObjects";
}

std::string object_operation(const Request& request) {
  const std::string& method = request.method;
  const bool is_copy = request.headers.find("x-amz-copy-source") != nullptr;
  if (request.has("tagging")) return verb_of(method).empty() ? "" : verb_of(method) + "ObjectTagging";
  if (method == "POST") {
    if (request.has("uploads")) return "CreateMultipartUpload";
    if (request.has("uploadId")) return "CompleteMultipartUpload";
    return request.has("restore") ? "RestoreObject" : "";
  }
  if (method == "PUT") {
    if (request.has("uploadId")) return is_copy ? "UploadPartCopy" : "UploadPart";
    return is_copy ? "CopyObject" : "PutObject";
  }
  if (method == "DELETE") return request.has("uploadId") ? "AbortMultipartUpload" : "DeleteObject";
  if (method == "HEAD") return "HeadObject";
  if (method != "GET") return "";
  if (request.has("attributes")) return "GetObjectAttributes";
  return request.has("uploadId") ? "ListParts" : "GetObject";
}

/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
bool is_bucket_name(const std::string& name) {
  const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= 3 && name.size() <= 63 && is_alphanumeric(name.front()) && is_alphanumeric(name.back()) &&
         name.find("..") == std::string::npos &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; });
}

/// Returns the region that the request was signed for; empty where it is not signed with a scope.
std::string region_of_scope(const Request& request) {
  const std::string authorization = request.header("authorization") + request.parameter("X-Amz-Credential");
  const std::size_t at = authorization.find("Credential=");
  const auto scope = split(std::string_view(authorization).substr(at == std::string::npos ? 0 : at), '/');
  return scope.size() >= 4 ? std::string(scope[2]) : "";
}

bool has_credentials(const Request& request) {
  return request.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=") ||
         (request.has("X-Amz-Signature") && request.has("X-Amz-Credential"));
}

}  // namespace

// Shared

std::string element(std::string_view name, std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\r': escaped += "&#13;"; break;
      default: escaped += c;
    }
  }
  return fmt::format("<{0}>{1}</{0}>", name, escaped);
}

Answer document(std::string_view root, const std::string& content) {
  Answer answer;
  answer.headers.add("Content-Type", "application/xml");
  answer.body = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{0} xmlns=\"{1}\">{2}</{0}>", root,
                            xml_namespace, content);
  return answer;
}

Answer to_answer(const Refusal& refusal, const Request& request) {
  Answer answer;
  answer.status = refusal.status;
  answer.headers = refusal.headers;
  if (request.method == "HEAD" || refusal.status == 304) return answer;
  answer.headers.add("Content-Type", "application/xml");
  answer.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>" + element("Code", refusal.code) +
                element("Message", refusal.message) + refusal.more + element("Resource", request.path) +
                element("RequestId", "SCRIPTED") + element("HostId", "scripted") + "</Error>";
  return answer;
}

void parse(pugi::xml_document& document, const Received& received) {
  const std::string text = received.content.text();
  if (!document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata_single))
    throw Refusal{400, "MalformedXML", "The XML you provided was not well-formed or did not validate."};
}

std::string in_quotes(const std::string& etag) { return "\"" + etag + "\""; }

std::string unquoted(std::string_view etag) {
  if (etag.starts_with('"')) etag.remove_prefix(1);
  if (etag.ends_with('"')) etag.remove_suffix(1);
  return std::string(etag);
}

std::string listed_name(const Request& request, const std::string& name) {
  return request.parameter("encoding-type") == "url" ? percent_encode(name, true) : name;
}

std::uint64_t number_of(const Request& request, const char* parameter, std::uint64_t otherwise) {
  if (!request.has(parameter)) return otherwise;
  const std::string text = request.parameter(parameter);
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size())
    throw Refusal{400, "InvalidArgument", fmt::format("Provided {} not an integer or within integer range", parameter)};
  return number;
}

std::string operation_of(const Request& request) {
  if (request.bucket.empty()) return request.method == "GET" ? "ListBuckets" : "";
  return request.key.empty() ? bucket_operation(request) : object_operation(request);
}

bool takes_content(const std::string& operation) { return operation == "PutObject" || operation == "UploadPart"; }

// Dispatch

/// How an operation is carried out, and the action of IAM that it needs.
struct Operations::Row {
  Answer (Operations::*run)(const Request&, const Received&);
  std::string action;
  bool needs_bucket = true;
};

const std::map<std::string, Operations::Row>& Operations::rows() {
  using O = Operations;
  static const std::map<std::string, Row> all = [] {
    std::map<std::string, Row> rows = {
        {"ListBuckets", {&O::list_buckets, "s3:ListAllMyBuckets", false}},
        {"CreateBucket", {&O::create_bucket, "s3:CreateBucket", false}},
        {"DeleteBucket", {&O::delete_bucket, "s3:DeleteBucket"}},
        {"HeadBucket", {&O::head_bucket, "s3:ListBucket"}},
        {"GetBucketLocation", {&O::location, "s3:GetBucketLocation"}},
        {"ListObjects", {&O::list_objects, "s3:ListBucket"}},
        {"ListObjectsV2", {&O::list_objects, "s3:ListBucket"}},
        {"ListObjectVersions", {&O::list_versions, "s3:ListBucketVersions"}},
        {"ListMultipartUploads", {&O::list_uploads, "s3:ListBucketMultipartUploads"}},
        {"PutObject", {&O::put_object, "s3:PutObject"}},
        {"GetObject", {&O::get_object, "s3:GetObject"}},
        {"HeadObject", {&O::get_object, "s3:GetObject"}},
        {"GetObjectAttributes", {&O::get_attributes, "s3:GetObjectAttributes"}},
        {"DeleteObject", {&O::delete_object, "s3:DeleteObject"}},
        {"DeleteObjects", {&O::delete_objects, "s3:DeleteObject"}},
        {"CopyObject", {&O::copy_object, "s3:PutObject"}},
        {"GetObjectTagging", {&O::get_tags, "s3:GetObjectTagging"}},
        {"PutObjectTagging", {&O::put_tags, "s3:PutObjectTagging"}},
        {"DeleteObjectTagging", {&O::delete_tags, "s3:DeleteObjectTagging"}},
        {"RestoreObject", {&O::restore_object, "s3:RestoreObject"}},
        {"CreateMultipartUpload", {&O::create_upload, "s3:PutObject"}},
        {"UploadPart", {&O::upload_part, "s3:PutObject"}},
        {"UploadPartCopy", {&O::upload_part_copy, "s3:PutObject"}},
        {"CompleteMultipartUpload", {&O::complete_upload, "s3:PutObject"}},
        {"AbortMultipartUpload", {&O::abort_upload, "s3:AbortMultipartUpload"}},
        {"ListParts", {&O::list_parts, "s3:ListMultipartUploadParts"}},
    };
    for (const Setting& setting : settings_of_buckets) {
      const std::string name(setting.operation), put(setting.put_action);
      rows.emplace("Get" + name, Row{&O::get_document, std::string(setting.get_action)});
      rows.emplace("Put" + name, Row{&O::put_document, put});
      rows.emplace("Delete" + name, Row{&O::delete_document, put});
    }
    return rows;
  }();
  return all;
}

void Operations::demand(const std::string& action) {
  if (!may_(action)) {
    throw Refusal{
        403, "AccessDenied",
        fmt::format("User: arn:aws:iam::{}:user/test is not authorized to perform: {}", settings_.account, action)};
  }
}

Bucket& Operations::bucket_of(const Request& request) {
  const auto found = state_.buckets.find(request.bucket);
  if (found == state_.buckets.end()) {
    throw Refusal{
        404, "NoSuchBucket", "The specified bucket does not exist", {}, element("BucketName", request.bucket)};
  }
  return found->second;
}

void Operations::check_access(const Request& request, const Row& row) {
  if (!has_credentials(request)) throw Refusal{403, "AccessDenied", "Access Denied"};
  const bool has_version = request.has("versionId");
  const bool is_of_version = has_version && (row.action == "s3:GetObject" || row.action == "s3:DeleteObject");
  demand(is_of_version ? row.action + "Version" : row.action);
  if (!row.needs_bucket) return;
  const Bucket& bucket = bucket_of(request);
  const std::string region = region_of_scope(request);
  if (!region.empty() && region != bucket.region && request.operation != "GetBucketLocation") {
    throw Refusal{301,
                  "PermanentRedirect",
                  "The bucket you are attempting to access must be addressed using the specified endpoint.",
                  {{"x-amz-bucket-region", bucket.region}},
                  element("Bucket", bucket.name) + element("Region", bucket.region)};
  }
  const std::string expected = request.header("x-amz-expected-bucket-owner");
  if (bucket.is_foreign || (!expected.empty() && expected != bucket.owner))
    throw Refusal{403, "AccessDenied", "Access Denied", {{"x-amz-bucket-region", bucket.region}}};
}

Answer Operations::handle(const Request& request, const Received& received) {
  try {
    const auto row = rows().find(request.operation);
    if (row == rows().end())
      throw Refusal{501, "NotImplemented", "A header or query you provided implies functionality not implemented"};
    check_access(request, row->second);
    if (row->second.needs_bucket) end_old_uploads(bucket_of(request));
    return (this->*row->second.run)(request, received);
  } catch (const Refusal& refusal) {
    return to_answer(refusal, request);
  } catch (const Error& error) {  // text that is no base64, no number, no time
    return to_answer({400, "InvalidArgument", error.what()}, request);
  }
}

// Buckets

Answer Operations::list_buckets(const Request&, const Received&) {
  std::string buckets;
  for (const auto& [name, bucket] : state_.buckets) {
    if (bucket.is_foreign) continue;
    buckets += "<Bucket>" + element("Name", name) + element("CreationDate", to_iso8601(bucket.created)) +
               element("BucketRegion", bucket.region) + "</Bucket>";
  }
  return document("ListAllMyBucketsResult",
                  "<Owner>" + element("ID", settings_.account) + "</Owner><Buckets>" + buckets + "</Buckets>");
}

Answer Operations::create_bucket(const Request& request, const Received& received) {
  verify_body(request, received);
  if (!is_bucket_name(request.bucket)) throw Refusal{400, "InvalidBucketName", "The specified bucket is not valid."};
  std::string region = "us-east-1";
  if (received.content.size() > 0) {
    pugi::xml_document xml;
    parse(xml, received);
    const std::string constraint = xml.document_element().child("LocationConstraint").text().get();
    if (constraint == "us-east-1")
      throw Refusal{400, "InvalidLocationConstraint", "The specified location-constraint is not valid"};
    if (!constraint.empty()) region = constraint;
  }
  const std::string scope = region_of_scope(request);
  if (!scope.empty() && scope != "us-east-1" && scope != region) {
    throw Refusal{400, "IllegalLocationConstraintException",
                  "The location constraint is incompatible for the region specific endpoint this request was sent to."};
  }
  const auto there = state_.buckets.find(request.bucket);
  if (there != state_.buckets.end()) {
    if (there->second.is_foreign || there->second.owner != settings_.account)
      throw Refusal{409, "BucketAlreadyExists", "The requested bucket name is not available."};
    // In us-east-1 a bucket that one has already is made again, for old times' sake.
    if (region != "us-east-1" || there->second.region != "us-east-1")
      throw Refusal{409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded."};
  } else {
    Bucket bucket;
    bucket.name = request.bucket;
    bucket.region = region;
    bucket.owner = settings_.account;
    bucket.created = state_.now();
    state_.buckets.emplace(request.bucket, std::move(bucket));
  }
  Answer answer;
  answer.headers.add("Location", "/" + request.bucket);
  return answer;
}

Answer Operations::delete_bucket(const Request& request, const Received&) {
  if (!bucket_of(request).objects.empty())
    throw Refusal{409, "BucketNotEmpty", "The bucket you tried to delete is not empty"};
  state_.buckets.erase(request.bucket);
  return {.status = 204};
}

Answer Operations::head_bucket(const Request& request, const Received&) {
  Answer answer;
  answer.headers.add("x-amz-bucket-region", bucket_of(request).region);
  answer.headers.add("Content-Type", "application/xml");
  return answer;
}

Answer Operations::location(const Request& request, const Received&) {
  const std::string& region = bucket_of(request).region;
  return document("LocationConstraint", region == "us-east-1" ? "" : region);
}

Answer Operations::get_document(const Request& request, const Received&) {
  const Bucket& bucket = bucket_of(request);
  const Setting& setting = *setting_of(request);
  const auto found = bucket.documents.find(std::string(setting.parameter));
  if (found == bucket.documents.end() && !setting.missing_code.empty())
    throw Refusal{404, std::string(setting.missing_code), "The configuration does not exist"};
  Answer answer;
  answer.headers.add("Content-Type", setting.parameter == "policy" ? "application/json" : "application/xml");
  answer.body = found == bucket.documents.end() ? std::string(setting.otherwise) : found->second;
  return answer;
}

Answer Operations::put_document(const Request& request, const Received& received) {
  const std::string checksum = verify_body(request, received);
  const std::string parameter(setting_of(request)->parameter);
  if (parameter == "lifecycle" && checksum.empty() && request.header("content-md5").empty())
    throw Refusal{400, "InvalidRequest", "Missing required header for this request: Content-MD5"};
  Bucket& bucket = bucket_of(request);
  pugi::xml_document xml;
  if (parameter != "policy") parse(xml, received);
  if (parameter == "versioning") {
    const std::string status = xml.document_element().child("Status").text().get();
    if (status != "Enabled" && status != "Suspended")
      throw Refusal{400, "IllegalVersioningConfigurationException", "The versioning configuration is invalid"};
    bucket.versioning = status;
  }
  bucket.documents[parameter] = received.content.text();
  const bool has_no_content = parameter == "tagging" || parameter == "policy";
  return {.status = has_no_content ? 204 : 200};
}

Answer Operations::delete_document(const Request& request, const Received&) {
  bucket_of(request).documents.erase(std::string(setting_of(request)->parameter));
  return {.status = 204};
}

}  // namespace bale::testing::s3
