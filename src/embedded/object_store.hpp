// S3 over plain files and SQLite.
#pragma once

#include "embedded/core.hpp"
#include "embedded/object_rows.hpp"
#include "store/object_store.hpp"

namespace bale::embedded {

/// The buckets of all regions as seen from one. The order of every write: data durable under their final name, then the
/// row (with the notifications, in the same transaction), then the replaced data removed. Thread-safe; borrows the
/// core.
class EmbeddedStore final : public store::ObjectStore {
 public:
  EmbeddedStore(Core& core, Region region) : core_(core), region_(std::move(region)) {}

  void expect_owner(const BucketName&, const std::string&) override {}  // a directory has no accounts

  void create_bucket(const BucketName& bucket) override;
  void delete_bucket(const BucketName& bucket) override;
  std::optional<store::BucketInfo> head_bucket(const BucketName& bucket) override;
  std::vector<store::BucketInfo> list_buckets() override;
  void set_versioning(const BucketName& bucket, store::Versioning versioning) override;
  store::Versioning get_versioning(const BucketName& bucket) override;
  void set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) override;
  std::vector<store::NotificationRule> get_notifications(const BucketName& bucket) override;

  store::PutResult put(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                       const store::WriteConditions& conditions) override;
  std::unique_ptr<store::GetStream> get(const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                                        const store::ReadConditions& conditions) override;
  std::optional<store::ObjectInfo> head(const ObjectAddress& object, const store::ReadConditions& conditions) override;
  store::DeleteResult remove(const ObjectAddress& object, const VersionId& version,
                             const store::DeleteConditions& conditions) override;
  /// One transaction.
  std::vector<store::RemoveOutcome> remove_all(const BucketName& bucket,
                                               const std::vector<store::ObjectToRemove>& objects) override;
  store::PutResult copy(const store::CopySource& from, const ObjectAddress& to,
                        const std::optional<store::ObjectAttributes>& replace,
                        const store::WriteConditions& conditions) override;
  store::ListPage list(const BucketName& bucket, const store::ListRequest& request) override;
  store::VersionPage list_versions(const BucketName& bucket, const store::ListRequest& request) override;

  store::Tags get_tags(const ObjectAddress& object, const VersionId& version) override;
  void set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) override;

  UploadId create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) override;
  ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                   store::Body& body) override;
  ETag upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                        const store::CopySource& from, const std::optional<store::ByteRange>& range) override;
  store::PutResult complete_upload(const ObjectAddress& object, const UploadId& upload,
                                   const std::vector<store::UploadedPart>& parts,
                                   const store::WriteConditions& conditions) override;
  void abort_upload(const ObjectAddress& object, const UploadId& upload) override;
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& object, const UploadId& upload) override;
  std::vector<store::ListedUpload> list_uploads(const BucketName& bucket, const std::string& prefix) override;

  void restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) override;
  std::string presign_get(const ObjectAddress& object, std::chrono::seconds expires) override;

 private:
  TimePoint now() const { return core_.world.clock.now(); }
  /// Throws what a write would throw before any data are written: NoSuchBucket, conditions.
  void check_target(const ObjectAddress& object, const store::WriteConditions& conditions);

  Core& core_;
  const Region region_;
};

}  // namespace bale::embedded
