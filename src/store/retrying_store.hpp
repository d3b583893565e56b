// Decorator: an object store that tries again what failed in passing.
#pragma once

#include <stop_token>
#include <utility>

#include "flow/retrier.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// Any ObjectStore, with transient failures and throttling tried again as the retrier's settings say, and never after
/// its stop. Thread-safe as the inner store is. Store and retrier are borrowed and outlive it and its streams.
///
/// The answer of a request that worked may be lost, so that it is sent twice. What follows:
///  - Reads, listings, set_*, unconditional put and copy, parts, abort_upload and restore: the second time changes
///    nothing, or writes the same again. A bucket with versions then has two equal ones; remove() leaves two delete
///    markers there. What another writer did between the two attempts is overwritten, as if it had come first: who
///    cannot have that makes the write conditional.
///  - A conditional put or copy that is refused after a lost answer: the object is looked at. Size, user metadata and
///    ETag of what was written: it worked. Otherwise Error{precondition}, as for a request that was refused at once;
///    its hint says so where the ETag cannot tell (KMS keys; copies of multipart objects). Another writer's object of
///    equal content and metadata is taken for the own one: writers that must know which of them won put something of
///    their own into content or metadata. 409 ConditionalRequestConflict is tried again.
///  - complete_upload after a lost answer meets NoSuchUpload or a failed condition: the object is looked at, and it
///    worked if its ETag is that of the parts. If the object was replaced in between, that is not seen, and the error
///    stands. 409 ConditionalRequestConflict is not tried again: S3 wants the whole upload anew.
///  - A conditional remove that meets NoSuchKey after a lost answer counts as done. remove_all() sends again only those
///    objects whose own failure is transient.
///  - create_upload may leave an upload that nobody knows: it has no object; it goes when old uploads are swept.
///  - create_bucket, delete_bucket: that the bucket is there, or gone, counts as done after a lost answer.
///
/// A stream of get() resumes after a broken body; see resuming_stream.hpp.
class RetryingStore final : public ObjectStore {
 public:
  /// `stop` ends the retries too, besides the stop of the retrier; nobody requests the default.
  RetryingStore(ObjectStore& inner, flow::Retrier& retrier, std::stop_token stop = {})
      : inner_(inner), retrier_(retrier), stop_(std::move(stop)) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    inner_.expect_owner(bucket, account);
  }

  void create_bucket(const BucketName& bucket) override;
  void delete_bucket(const BucketName& bucket) override;
  std::optional<BucketInfo> head_bucket(const BucketName& bucket) override;
  std::vector<BucketInfo> list_buckets() override;
  void set_versioning(const BucketName& bucket, Versioning versioning) override;
  Versioning get_versioning(const BucketName& bucket) override;
  void set_notifications(const BucketName& bucket, const std::vector<NotificationRule>& rules) override;
  std::vector<NotificationRule> get_notifications(const BucketName& bucket) override;

  PutResult put(const ObjectAddress& object, Body& body, const ObjectAttributes& attributes,
                const WriteConditions& conditions) override;
  std::unique_ptr<GetStream> get(const ObjectAddress& object, const std::optional<ByteRange>& range,
                                 const ReadConditions& conditions) override;
  std::optional<ObjectInfo> head(const ObjectAddress& object, const ReadConditions& conditions) override;
  DeleteResult remove(const ObjectAddress& object, const VersionId& version,
                      const DeleteConditions& conditions) override;
  std::vector<RemoveOutcome> remove_all(const BucketName& bucket, const std::vector<ObjectToRemove>& objects) override;
  PutResult copy(const CopySource& from, const ObjectAddress& to, const std::optional<ObjectAttributes>& replace,
                 const WriteConditions& conditions) override;
  ListPage list(const BucketName& bucket, const ListRequest& request) override;
  VersionPage list_versions(const BucketName& bucket, const ListRequest& request) override;

  Tags get_tags(const ObjectAddress& object, const VersionId& version) override;
  void set_tags(const ObjectAddress& object, const Tags& tags, const VersionId& version) override;

  UploadId create_upload(const ObjectAddress& object, const ObjectAttributes& attributes) override;
  ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number, Body& body) override;
  ETag upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                        const CopySource& from, const std::optional<ByteRange>& range) override;
  PutResult complete_upload(const ObjectAddress& object, const UploadId& upload, const std::vector<UploadedPart>& parts,
                            const WriteConditions& conditions) override;
  void abort_upload(const ObjectAddress& object, const UploadId& upload) override;
  std::vector<UploadedPart> list_parts(const ObjectAddress& object, const UploadId& upload) override;
  std::vector<ListedUpload> list_uploads(const BucketName& bucket, const std::string& prefix) override;

  void restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) override;
  std::string presign_get(const ObjectAddress& object, std::chrono::seconds expires) override;

 private:
  ObjectStore& inner_;
  flow::Retrier& retrier_;
  const std::stop_token stop_;
};

}  // namespace bale::store
