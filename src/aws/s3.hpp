// S3's REST protocol: pure builders of requests and parsers of answers, in the words of the ObjectStore port.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/answer.hpp"
#include "aws/endpoint.hpp"
#include "aws/s3_settings.hpp"
#include "store/object_store.hpp"

namespace bale::aws {

/// Makes unsigned requests to one endpoint. A value; thread-safe. Where the port gives limits, they are the caller's to
/// check (store/object_rules.hpp); S3 checks them too. Each throws Error{invalid} for a name of bucket or object that
/// would make it a request for something else. may_repeat is false for what a silent second time would answer
/// differently.
class S3Requests {
 public:
  /// `sends_checksums` is false for servers that refuse x-amz-checksum-* headers: the requests carry none, nor
  /// checksums of parts, whatever they are asked to carry.
  S3Requests(Endpoint endpoint, Addressing addressing, bool sends_checksums = true)
      : endpoint_(std::move(endpoint)), addressing_(addressing), sends_checksums_(sends_checksums) {}
  const Endpoint& endpoint() const noexcept { return endpoint_; }

  /// In the endpoint's region.
  Call create_bucket(const BucketName& bucket) const;
  Call delete_bucket(const BucketName& bucket) const;
  Call head_bucket(const BucketName& bucket) const;
  /// `continuation`: of the page before; empty: the first page.
  Call list_buckets(const std::string& continuation) const;
  Call set_versioning(const BucketName& bucket, store::Versioning versioning) const;
  Call get_versioning(const BucketName& bucket) const;
  /// `others`: what parse_other_notifications() found, as the request replaces everything.
  Call set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules,
                         const std::string& others) const;
  Call get_notifications(const BucketName& bucket) const;

  /// A setting of the bucket; `content` goes into the root of its document.
  Call get_setting(const BucketName& bucket, const BucketSetting& setting) const;
  Call set_setting(const BucketName& bucket, const BucketSetting& setting, const std::string& content) const;
  Call remove_setting(const BucketName& bucket, const BucketSetting& setting) const;

  /// The body is streamed by whoever sends it, here and in upload_part(); `digests` are those of its bytes.
  Call put(const ObjectAddress& object, const store::ObjectAttributes& attributes,
           const store::WriteConditions& conditions, const store::BodyDigests& digests = {}) const;
  Call get(const ObjectAddress& object, const std::optional<store::ByteRange>& range,
           const store::ReadConditions& conditions) const;
  Call head(const ObjectAddress& object, const store::ReadConditions& conditions) const;
  /// HEAD of one part, counted from 1, of an object that was uploaded in parts: the answer's length is the part's.
  Call head_part(const ObjectAddress& object, const VersionId& version, std::uint32_t number) const;
  Call remove(const ObjectAddress& object, const VersionId& version,
              const store::DeleteConditions& conditions = {}) const;
  /// DeleteObjects. Throws Error{invalid} for a key that it cannot carry: see fits_in_xml().
  Call remove_all(const BucketName& bucket, const std::vector<store::ObjectToRemove>& objects) const;
  Call copy(const store::CopySource& from, const ObjectAddress& to,
            const std::optional<store::ObjectAttributes>& replace, const store::WriteConditions& conditions) const;
  Call list(const BucketName& bucket, const store::ListRequest& request) const;
  Call list_versions(const BucketName& bucket, const store::ListRequest& request) const;
  Call get_tags(const ObjectAddress& object, const VersionId& version) const;
  Call set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) const;

  Call create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) const;
  Call upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                   const store::BodyDigests& digests = {}) const;
  Call upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                        const store::CopySource& from, const std::optional<store::ByteRange>& range) const;
  Call complete_upload(const ObjectAddress& object, const UploadId& upload,
                       const std::vector<store::UploadedPart>& parts, const store::WriteConditions& conditions) const;
  Call abort_upload(const ObjectAddress& object, const UploadId& upload) const;
  Call list_parts(const ObjectAddress& object, const UploadId& upload, std::uint32_t after_part) const;
  /// `continuation`: of the page before; empty: the first page.
  Call list_uploads(const BucketName& bucket, const std::string& prefix, const std::string& continuation) const;

  Call restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) const;

 private:
  Call to(http::Method method, const BucketName& bucket, std::string query) const;
  Call to(http::Method method, const ObjectAddress& object, std::string query) const;
  Call address(http::Method method, const ObjectAddress& object, std::string query) const;
  void add_checksum(http::Headers& headers, const store::Checksum& checksum) const;
  void add_digests(http::Headers& headers, const store::BodyDigests& digests) const;

  Endpoint endpoint_;
  Addressing addressing_;
  bool sends_checksums_;
};

/// Whether XML carries the key to any server and back unchanged: it is UTF-8, has no control character, and neither
/// begins nor ends with a space.
bool fits_in_xml(const ObjectKey& key) noexcept;

/// Which bytes of the object an answer to GET carries.
struct GotRange {
  ByteCount offset = 0;
  ByteCount length = 0;
};

// Parsers of successful answers. Each throws Error{unavailable} naming `where` for what is not an answer of S3 to this
// request (not_from_service()), and Error{corrupt} for an answer of S3 that makes no sense.

/// Whether an answer to GET or HEAD says how long the object is.
bool tells_size(const http::AnswerHead& head) noexcept;
/// Headers of GET and HEAD; the size is the whole object's, also for a range. The time is the epoch where the answer
/// has no Last-Modified. Throws Error{unsupported} besides, unless tells_size().
store::ObjectInfo parse_object_info(const http::AnswerHead& head, const std::string& where);
/// Number of parts that the ETag of an upload in parts tells ("...-3"); 0 for any other ETag.
std::uint32_t parts_of_etag(const ETag& etag) noexcept;
/// Bytes of the part, from the answer to head_part(); 0 where it does not tell.
ByteCount parse_part_bytes(const http::AnswerHead& head) noexcept;
GotRange parse_got_range(const http::AnswerHead& head, const std::string& where);
store::PutResult parse_put(const http::AnswerHead& head, const std::string& where);
ETag parse_part(const http::AnswerHead& head, const std::string& where);
store::DeleteResult parse_remove(const http::AnswerHead& head);
/// The answer to remove_all() of these objects: what became of each, in their order. An object that the answer does not
/// name has Error{unavailable}. The answer may be an error, as for copies. `bucket` is for the places of errors.
std::vector<store::RemoveOutcome> parse_remove_all(const http::AnswerHead& head, std::string_view body,
                                                   const BucketName& bucket,
                                                   const std::vector<store::ObjectToRemove>& objects);

/// Copies and completed uploads can fail after S3 has said 200: then the body is an error, and is thrown as the Error
/// that a failed request gives (SlowDown: throttled, InternalError: unavailable, ...).
store::PutResult parse_copy(const http::AnswerHead& head, std::string_view body, const std::string& where);
ETag parse_part_copy(const http::AnswerHead& head, std::string_view body, const std::string& where);
/// The tag is empty where the server leaves it out (Ceph RGW 16): a HEAD tells it.
store::PutResult parse_complete(const http::AnswerHead& head, std::string_view body, const std::string& where);

UploadId parse_create_upload(std::string_view body, const std::string& where);
store::ListPage parse_list(std::string_view body, const std::string& where);
store::VersionPage parse_versions(std::string_view body, const std::string& where);
store::Tags parse_tags(std::string_view body, const std::string& where);
store::Versioning parse_versioning(std::string_view body, const std::string& where);
/// Rules for queues; those for functions and topics are left out.
std::vector<store::NotificationRule> parse_notifications(std::string_view body, const std::string& where);
/// The XML of what is not for queues: functions, topics, EventBridge.
std::string parse_other_notifications(std::string_view body, const std::string& where);

template <typename Item>
struct Page {
  std::vector<Item> items;
  std::string next;  ///< for the request of the next page; empty: this was the last
};
Page<store::BucketInfo> parse_buckets(std::string_view body, const std::string& where);
Page<store::ListedUpload> parse_uploads(std::string_view body, const std::string& where);
/// `next` is the number of the last part.
Page<store::UploadedPart> parse_parts(std::string_view body, const std::string& where);

}  // namespace bale::aws
