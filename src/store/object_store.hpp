// Port: object storage with the semantics of Amazon S3.
//
// One contract suite (tests/contract/object_store_suite.hpp) defines what every kind must do; it is written against
// S3's documented behaviour. Errors are bale::Error with S3's own code in code(): NoSuchBucket, NoSuchKey (kind
// not_found), PreconditionFailed (precondition), InvalidObjectState (denied; an archived object that was not restored),
// ...
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::store {

/// Limits of S3. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
inline constexpr ByteCount min_part_bytes = 5ULL << 20;  ///< every part but the last
inline constexpr ByteCount max_part_bytes = 5ULL << 30;  ///< also the most that one PUT or one CopyObject takes
inline constexpr std::uint32_t max_parts = 10'000;
inline constexpr std::size_t max_tags =
    10;  ///< https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
inline constexpr std::size_t max_user_metadata_bytes = 2048;  ///< sum of names (without x-amz-meta-) and values

/// Names in lower case, without "x-amz-meta-".
using UserMetadata = std::map<std::string, std::string>;
using Tags = std::map<std::string, std::string>;

/// System headers that S3 keeps and returns; empty means not set.
struct SystemHeaders {
  std::string content_type;
  std::string cache_control;
  std::string content_disposition;
  std::string content_encoding;
  std::string content_language;
  std::string expires;
  std::string website_redirect;
  friend bool operator==(const SystemHeaders&, const SystemHeaders&) = default;
};

/// A checksum of bytes, as S3 keeps it: of a whole object, or of one part of an upload.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
struct Checksum {
  enum class Algorithm { crc64nvme, crc32c, crc32, sha256, sha1 };
  Algorithm algorithm = Algorithm::crc64nvme;
  std::string value;  ///< its bytes, the most significant first
  friend bool operator==(const Checksum&, const Checksum&) = default;
};

/// What is stored with an object besides its bytes.
struct ObjectAttributes {
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  std::string storage_class = "STANDARD";
  std::string kms_key_arn;  ///< SSE-KMS key; empty: the bucket's default encryption
  /// Encryption of the object where no kms_key_arn is given: "AES256" or "aws:kms" (x-amz-server-side-encryption);
  /// empty: the bucket's default encryption.
  std::string encryption = {};
  /// Of uploads in parts: the algorithm of the checksum that the store keeps of the whole object. Parts may carry
  /// checksums of this algorithm, and of no other. Absent: the store keeps none, or its own default.
  std::optional<Checksum::Algorithm> checksum_algorithm = {};
};

/// What HEAD and GET tell.
struct ObjectInfo {
  ByteCount size = 0;  ///< of the whole object, also when a range was asked for
  ETag etag;
  VersionId version_id;  ///< empty where the bucket never had versioning
  TimePoint last_modified{};
  SystemHeaders headers;
  UserMetadata metadata;
  std::size_t tag_count = 0;
  std::string storage_class = "STANDARD";
  std::string kms_key_arn;
  std::string restore;  ///< x-amz-restore as sent; empty when none was asked for
  /// x-amz-archive-status: the tier of INTELLIGENT_TIERING that has to be restored before the object can be read
  /// (ARCHIVE_ACCESS, DEEP_ARCHIVE_ACCESS); empty where it is in none.
  std::string archive_status = {};
  /// Size of every part but the last of what was uploaded in parts; 0 where the parts are not alike, or the store does
  /// not know. With it, the ETag can be computed from the bytes.
  ByteCount part_bytes = 0;
  /// The ETag is not made of the bytes: the object is encrypted with a key of KMS or of the customer.
  bool is_etag_opaque = false;
  /// Of the whole object, where the store keeps one and was asked for it; see ReadConditions::with_evidence.
  std::optional<Checksum> checksum;
};

/// Conditions of a read, and what it is to find out. Empty members do not apply.
struct ReadConditions {
  VersionId version_id;  ///< this version and no other
  ETag if_match;         ///< else Error{precondition}
  /// head() also learns what the object's bytes can be checked by: `checksum` and `part_bytes` of ObjectInfo. This may
  /// take another request, and the permission to decrypt the object. get() learns the checksum in any case.
  bool with_evidence = false;
  /// head() may say "absent" on the word of one answer without a body, which a proxy between here and the store can
  /// forge. For callers that then write on If-None-Match, or whose write changes nothing that matters.
  bool absence_unconfirmed = false;
};

/// Bytes first..last of an object, both included (HTTP Range). With `suffix`, the last `*suffix` bytes instead.
struct ByteRange {
  ByteCount first = 0;
  ByteCount last = 0;
  std::optional<ByteCount> suffix;
  static ByteRange at(ByteCount offset, ByteCount length) { return {offset, offset + length - 1, std::nullopt}; }
  static ByteRange tail(ByteCount length) { return {0, 0, length}; }
};

/// The answer of a GET while its body comes in. Used by one thread at a time; destroying it early gives the body up.
class GetStream {
 public:
  virtual ~GetStream() = default;
  virtual const ObjectInfo& info() const = 0;
  /// Length of the body: of the range where one was asked for.
  virtual ByteCount length() const = 0;
  /// Offset in the object of the body's first byte.
  virtual ByteCount offset() const = 0;
  /// Reads the next bytes; blocks until at least one is there. 0 at the end of the body. A body that ends before
  /// length() is Error{unavailable}, never a short success.
  virtual std::size_t read(MutableBytes bytes) = 0;
};

/// Digests of a body that its owner knows already. Who sends the body does not read it to compute them. Empty members
/// are unknown.
struct BodyDigests {
  std::optional<Sha256Digest> sha256;  ///< signed as the digest of the payload
  std::optional<Md5Digest> md5;        ///< sent as Content-MD5: the store refuses other bytes
  std::optional<Checksum> checksum;    ///< sent as x-amz-checksum-*: the store refuses other bytes
  /// The owner compares the ETag or the checksum in the response with those of the bytes that it gave. The signature
  /// need not cover the payload then, where the server takes UNSIGNED-PAYLOAD.
  bool response_is_compared = false;
};

/// The body of a PUT: pulled, of known size, and readable again from the start for another attempt.
/// Used by one thread at a time.
class Body {
 public:
  virtual ~Body() = default;
  virtual ByteCount size() const = 0;
  /// The next bytes, at most `most`, without copying where possible; empty at the end. Valid until the next call.
  virtual ByteView next(std::size_t most) = 0;
  virtual void rewind() = 0;
  /// So many more of the bytes that next() gave go to the service, and were not only read for a checksum: for those who
  /// show progress. rewind() takes it back.
  virtual void sent(ByteCount bytes) { static_cast<void>(bytes); }
  /// Returns the digests of the body that are known before it is sent. None by default.
  virtual BodyDigests digests() const { return {}; }
};

/// A body of pieces in memory, borrowed: they outlive it.
class MemoryBody final : public Body {
 public:
  explicit MemoryBody(std::vector<ByteView> pieces);
  explicit MemoryBody(ByteView bytes) : MemoryBody(std::vector<ByteView>{bytes}) {}
  ByteCount size() const override { return size_; }
  ByteView next(std::size_t most) override;
  void rewind() override;

 private:
  std::vector<ByteView> pieces_;
  ByteCount size_ = 0;
  std::size_t piece_ = 0, offset_ = 0;
};

/// Conditions of a write (PutObject, CompleteMultipartUpload). At most one of if_none_match and if_match is set.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
struct WriteConditions {
  bool if_none_match = false;  ///< only if no current object has the key
  ETag if_match;               ///< only if the current object has this tag
  /// Of complete_upload() alone: only if the parts have this size together (x-amz-mp-object-size).
  /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
  std::optional<ByteCount> size = {};
  /// Of complete_upload() alone: only if the whole object has this checksum, of ObjectAttributes::checksum_algorithm.
  std::optional<Checksum> checksum = {};
};

struct PutResult {
  ETag etag;
  VersionId version_id;
};

struct CopySource {
  ObjectAddress address;
  VersionId version_id;
  ETag if_match;
};

struct UploadedPart {
  std::uint32_t number = 0;  ///< 1..10,000
  ETag etag;
  ByteCount size = 0;
  std::optional<Checksum> checksum = {};  ///< where the upload was begun with an algorithm, and the store keeps it
};

/// What a store says of the restore of an archived object: RestoreStatus of a listing, x-amz-restore of a HEAD.
struct ListedRestore {
  bool in_progress = false;         ///< requested, and not readable yet
  std::optional<TimePoint> expiry;  ///< when the readable copy goes; absent while the restore is in progress
  friend bool operator==(const ListedRestore&, const ListedRestore&) = default;
};

struct ListedObject {
  ObjectKey key;
  ByteCount size = 0;
  ETag etag;
  TimePoint last_modified{};
  std::string storage_class = "STANDARD";
  /// Where ListRequest::with_restore_status asked for it. Absent: no restore was requested, or the copy has gone, or
  /// the store does not tell it. It says nothing about the archive tiers of INTELLIGENT_TIERING: only a HEAD does.
  std::optional<ListedRestore> restore = {};
  /// Algorithm of the checksum that the store keeps of the object; absent where it keeps none, or does not tell. The
  /// checksum itself takes a HEAD (ReadConditions::with_evidence).
  std::optional<Checksum::Algorithm> checksum_algorithm = {};
  /// That checksum is of the object's bytes (FULL_OBJECT), and not of the checksums of its parts (COMPOSITE).
  bool checksum_is_whole = false;
};

struct ListPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> common_prefixes;
  std::string next;  ///< continuation token; empty on the last page
};

struct ListedVersion : ListedObject {
  VersionId version_id;
  bool is_latest = false;
  bool is_delete_marker = false;
};

struct VersionPage {
  std::vector<ListedVersion> versions;  ///< by key, newest first
  std::string next;
};

struct ListRequest {
  std::string prefix;
  std::string delimiter;
  std::string start_after;   ///< keys greater than this
  std::string continuation;  ///< `next` of the page before
  std::uint32_t max_keys = 1000;
  /// Also asks for ListedObject::restore (x-amz-optional-object-attributes: RestoreStatus).
  /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
  bool with_restore_status = false;
};

struct ListedUpload {
  ObjectKey key;
  UploadId upload_id;
  TimePoint initiated{};
};

struct BucketInfo {
  BucketName name;
  Region region;
  TimePoint created{};
  /// Random, written when the store that has the bucket was made; empty where the service has no such thing (S3).
  std::string store_id = {};
};

struct DeleteResult {
  VersionId version_id;
  bool delete_marker = false;
};

/// Conditions of a deletion. Empty members do not apply.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
struct DeleteConditions {
  /// Only if the current object has this tag. S3 evaluates it for the current object alone: not to be given together
  /// with a version. It takes the permission to read the object.
  ETag if_match;
};

/// The most objects that one remove_all() takes.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
inline constexpr std::size_t max_removed_at_once = 1000;

/// One object for remove_all(). Members as the parameters of remove().
struct ObjectToRemove {
  ObjectKey key;
  VersionId version_id = {};
  DeleteConditions conditions = {};
};

/// What became of one ObjectToRemove.
struct RemoveOutcome {
  DeleteResult result;              ///< meaningful where there is no error
  std::optional<Error> error = {};  ///< as remove() would have thrown it
};

/// One rule of a bucket's event notifications: which events of which keys go to which queue.
struct NotificationRule {
  std::string id;
  std::string queue;                ///< queue name (embedded) or ARN (SQS)
  std::vector<std::string> events;  ///< "s3:ObjectCreated:*", "s3:ObjectRemoved:*", ...
  std::string prefix;
  std::string suffix;
};

enum class Versioning { never, enabled, suspended };

/// Object storage as seen from one region. Thread-safe. Buckets of other regions are reached as well, as an S3 client
/// does by following the redirect.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Makes every later request to the bucket name the account that is to own it (x-amz-expected-bucket-owner): where
  /// another account owns the bucket, the request is Error{denied} and has no effect. An empty account takes the
  /// expectation back. Stores without accounts ignore it.
  /// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
  virtual void expect_owner(const BucketName& bucket, const std::string& account) = 0;

  // Buckets
  /// Makes the bucket in this store's region. Error{precondition} with code BucketAlreadyOwnedByYou when it exists.
  virtual void create_bucket(const BucketName& bucket) = 0;
  /// Error{precondition} BucketNotEmpty unless it is empty.
  virtual void delete_bucket(const BucketName& bucket) = 0;
  virtual std::optional<BucketInfo> head_bucket(const BucketName& bucket) = 0;
  virtual std::vector<BucketInfo> list_buckets() = 0;
  virtual void set_versioning(const BucketName& bucket, Versioning versioning) = 0;
  virtual Versioning get_versioning(const BucketName& bucket) = 0;
  /// Replaces all rules for queues, and keeps what sends elsewhere (functions, topics); S3 sends an s3:TestEvent to
  /// each queue. Overlapping rules for one event are Error{invalid}.
  virtual void set_notifications(const BucketName& bucket, const std::vector<NotificationRule>& rules) = 0;
  virtual std::vector<NotificationRule> get_notifications(const BucketName& bucket) = 0;

  // Objects
  /// Durable when it returns. At most max_part_bytes. Where the bytes have not the digests that the body tells, nothing
  /// is written: Error{corrupt} BadDigest or, for a SHA-256 that was signed, XAmzContentSHA256Mismatch.
  virtual PutResult put(const ObjectAddress& object, Body& body, const ObjectAttributes& attributes,
                        const WriteConditions& conditions = {}) = 0;
  /// Throws Error{not_found} NoSuchKey or NoSuchVersion, and only where the store itself says that the object is
  /// absent; an archived object that is not restored is Error{denied} InvalidObjectState; a range outside the object is
  /// Error{invalid} InvalidRange. A suffix range longer than the object gives the whole object. The answer is the
  /// object that `conditions` name, or an Error. An answer that the store did not make is Error{unavailable}.
  virtual std::unique_ptr<GetStream> get(const ObjectAddress& object,
                                         const std::optional<ByteRange>& range = std::nullopt,
                                         const ReadConditions& conditions = {}) = 0;
  /// Absent when there is no such object or version: where the store itself says so, in an answer that names the cause
  /// (see ReadConditions::absence_unconfirmed). Errors as those of get().
  virtual std::optional<ObjectInfo> head(const ObjectAddress& object, const ReadConditions& conditions = {}) = 0;
  /// Deletes the object, or one version of it for good. No error when it is not there. Without a version, a versioned
  /// bucket gets a delete marker. With a condition: Error{not_found} NoSuchKey when there is no object,
  /// Error{precondition} PreconditionFailed when it has another tag, Error{invalid} InvalidRequest together with a
  /// version.
  virtual DeleteResult remove(const ObjectAddress& object, const VersionId& version = {},
                              const DeleteConditions& conditions = {}) = 0;
  /// Deletes up to max_removed_at_once objects of one bucket, in one request where the store has one. Returns what
  /// became of each, in the order of `objects`: each succeeds or fails on its own, as with remove(). Throws where the
  /// request as a whole failed: Error{not_found} NoSuchBucket, Error{invalid} MalformedXML for none or too many,
  /// Error{unsupported} where the store has no such request (then remove() does it).
  virtual std::vector<RemoveOutcome> remove_all(const BucketName& bucket,
                                                const std::vector<ObjectToRemove>& objects) = 0;
  /// Server-side copy of at most max_part_bytes. The attributes are taken from `replace` where given, else from the
  /// source (storage class excepted: STANDARD unless replaced, as S3 does). `conditions` are about the object that is
  /// replaced, those of `from` about the source. S3 has none about the target for upload_part_copy(): those of
  /// complete_upload() hold.
  virtual PutResult copy(const CopySource& from, const ObjectAddress& to,
                         const std::optional<ObjectAttributes>& replace = std::nullopt,
                         const WriteConditions& conditions = {}) = 0;
  /// Keys in bytewise order, up to 1,000 a page.
  virtual ListPage list(const BucketName& bucket, const ListRequest& request) = 0;
  virtual VersionPage list_versions(const BucketName& bucket, const ListRequest& request) = 0;

  // Tags
  virtual Tags get_tags(const ObjectAddress& object, const VersionId& version = {}) = 0;
  /// Replaces all tags.
  virtual void set_tags(const ObjectAddress& object, const Tags& tags, const VersionId& version = {}) = 0;

  // Multipart
  virtual UploadId create_upload(const ObjectAddress& object, const ObjectAttributes& attributes) = 0;
  /// Digests of the body as in put(). A checksum has to be of the upload's algorithm: Error{invalid} InvalidRequest.
  virtual ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number, Body& body) = 0;
  virtual ETag upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                const CopySource& from, const std::optional<ByteRange>& range) = 0;
  /// Parts ascending, with their checksums where the upload has an algorithm and they were given. Durable when it
  /// returns. Error{invalid} EntityTooSmall, InvalidPart (also for another checksum of a part), InvalidPartOrder,
  /// InvalidRequest (the size is another one; a checksum of another algorithm); Error{corrupt} BadDigest (the checksum
  /// is another one); NoSuchUpload.
  virtual PutResult complete_upload(const ObjectAddress& object, const UploadId& upload,
                                    const std::vector<UploadedPart>& parts, const WriteConditions& conditions = {}) = 0;
  /// No error when the upload is already gone.
  virtual void abort_upload(const ObjectAddress& object, const UploadId& upload) = 0;
  /// All parts so far; pages inside.
  virtual std::vector<UploadedPart> list_parts(const ObjectAddress& object, const UploadId& upload) = 0;
  /// All uploads under way whose key starts with `prefix`; pages inside.
  virtual std::vector<ListedUpload> list_uploads(const BucketName& bucket, const std::string& prefix = {}) = 0;

  // Archive storage classes
  /// Asks for an archived object to be made readable for `days`; 0 for objects in INTELLIGENT_TIERING, which move back
  /// to a tier that can be read for good. An empty `tier` is S3's default. Error{precondition}
  /// RestoreAlreadyInProgress; Error{denied} where the object is in no archive.
  /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
  virtual void restore(const ObjectAddress& object, int days, const std::string& tier,
                       const VersionId& version = {}) = 0;

  /// A URL with which anyone can GET the object until it expires. Error{unsupported} where there is no server.
  virtual std::string presign_get(const ObjectAddress& object, std::chrono::seconds expires) = 0;
};

/// Reads a whole body into memory, as read_to_end() does. Error{invalid} when it is longer than `most` bytes.
std::string read_all(GetStream& stream, ByteCount most);

}  // namespace bale::store
