// Decorator: an object store that does itself what its server ignores, refuses or forgets.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "cloud/upload_tags.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::cloud {

/// Any ObjectStore whose server leaves out a part of what the port promises, with that part done by further requests.
/// docs/invariants.md ("S3 servers that are not Amazon's") lists what servers do, and what remains uncertain:
///  - Conditions on the target of a copy, a completed upload or a deletion, and of a put into a bucket that keeps
///    versions: the target is checked before the write. Where versions are kept, they are listed again after it, and
///    the new version, or the delete marker, is removed if another writer's version came in between. A put into a
///    bucket without versions is left to the server. A batch deletion deletes what has conditions one by one.
///  - Conditions that the server refuses: the target is checked, and the write is sent without them. Later writes of
///    the same kind into the same bucket are sent without them at once.
///  - The condition on the source of a copy: the source is checked before the copy, and after it unless the ETag shows
///    that the right bytes were copied.
///  - Tags of completed uploads and of copies with new attributes: they are compared, and set where they are missing.
///  - The ETag of a completed upload, where the response has none: a HEAD gives it.
///  - Checksums of parts in the list of a complete request, where the server refuses the list: it is sent without them.
///
/// A write may therefore be several requests. A failed request before the write says so (Error::had_no_effect()). The
/// store does not repeat what failed in passing: the decorator that does so is outside of this one, never inside, so
/// that each attempt checks the conditions again (docs/adr/0012).
///
/// Thread-safe as the inner store is. Inner store and clock are borrowed, and outlive it.
class EnforcingStore final : public store::ObjectStore {
 public:
  EnforcingStore(store::ObjectStore& inner, os::Clock& clock) : inner_(inner), clock_(clock) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    inner_.expect_owner(bucket, account);
  }

  void create_bucket(const BucketName& bucket) override { inner_.create_bucket(bucket); }
  void delete_bucket(const BucketName& bucket) override { inner_.delete_bucket(bucket); }
  std::optional<store::BucketInfo> head_bucket(const BucketName& bucket) override { return inner_.head_bucket(bucket); }
  std::vector<store::BucketInfo> list_buckets() override { return inner_.list_buckets(); }
  void set_versioning(const BucketName& bucket, store::Versioning versioning) override;
  store::Versioning get_versioning(const BucketName& bucket) override { return inner_.get_versioning(bucket); }
  void set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) override {
    inner_.set_notifications(bucket, rules);
  }
  std::vector<store::NotificationRule> get_notifications(const BucketName& bucket) override {
    return inner_.get_notifications(bucket);
  }

  store::PutResult put(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                       const store::WriteConditions& conditions) override;
  std::unique_ptr<store::GetStream> get(const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                                        const store::ReadConditions& conditions) override {
    return inner_.get(object, range, conditions);
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& object, const store::ReadConditions& conditions) override {
    return inner_.head(object, conditions);
  }
  store::DeleteResult remove(const ObjectAddress& object, const VersionId& version,
                             const store::DeleteConditions& conditions) override;
  std::vector<store::RemoveOutcome> remove_all(const BucketName& bucket,
                                               const std::vector<store::ObjectToRemove>& objects) override;
  store::PutResult copy(const store::CopySource& from, const ObjectAddress& to,
                        const std::optional<store::ObjectAttributes>& replace,
                        const store::WriteConditions& conditions) override;
  store::ListPage list(const BucketName& bucket, const store::ListRequest& request) override {
    return inner_.list(bucket, request);
  }
  store::VersionPage list_versions(const BucketName& bucket, const store::ListRequest& request) override {
    return inner_.list_versions(bucket, request);
  }

  store::Tags get_tags(const ObjectAddress& object, const VersionId& version) override {
    return inner_.get_tags(object, version);
  }
  void set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) override {
    inner_.set_tags(object, tags, version);
  }

  UploadId create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) override;
  ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                   store::Body& body) override {
    return inner_.upload_part(object, upload, number, body);
  }
  ETag upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                        const store::CopySource& from, const std::optional<store::ByteRange>& range) override;
  store::PutResult complete_upload(const ObjectAddress& object, const UploadId& upload,
                                   const std::vector<store::UploadedPart>& parts,
                                   const store::WriteConditions& conditions) override;
  void abort_upload(const ObjectAddress& object, const UploadId& upload) override;
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& object, const UploadId& upload) override {
    return inner_.list_parts(object, upload);
  }
  std::vector<store::ListedUpload> list_uploads(const BucketName& bucket, const std::string& prefix) override {
    return inner_.list_uploads(bucket, prefix);
  }

  void restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) override {
    inner_.restore(object, days, tier, version);
  }
  std::string presign_get(const ObjectAddress& object, std::chrono::seconds expires) override {
    return inner_.presign_get(object, expires);
  }

 private:
  /// A condition that a server may refuse while it takes the others.
  enum class Condition { of_put, of_copy, of_complete, of_remove, of_source, of_multipart_source };
  /// The versions of one key.
  using Versions = std::set<VersionId>;

  template <typename Result>
  Result write_on(Condition kind, const ObjectAddress& object, const store::WriteConditions& conditions,
                  const std::function<Result(const store::WriteConditions&)>& write);
  std::optional<Versions> check_target(const ObjectAddress& object, const store::WriteConditions& conditions,
                                       bool server_evaluates);
  void remove_if_later(const ObjectAddress& object, const std::optional<Versions>& before, const VersionId& written);
  bool keeps_versions(const BucketName& bucket);
  bool is_refused(const BucketName& bucket, Condition condition) const;
  void remember_refusal(const BucketName& bucket, Condition condition);

  void check_source(const store::CopySource& from);
  void copy_from(const store::CopySource& from, const std::function<void(const store::CopySource&)>& copy);

  void set_missing_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version);
  void set_missing_tags(const ObjectAddress& object, const UploadId& upload, const VersionId& version);
  void set_missing_tags_if_own(const ObjectAddress& object, const UploadId& upload,
                               const std::vector<store::UploadedPart>& parts, const Error& refusal);
  store::PutResult complete(const ObjectAddress& object, const UploadId& upload,
                            const std::vector<store::UploadedPart>& parts, const store::WriteConditions& conditions);
  store::PutResult complete_with(const ObjectAddress& object, const UploadId& upload,
                                 const std::vector<store::UploadedPart>& parts,
                                 const store::WriteConditions& conditions);

  store::ObjectStore& inner_;
  os::Clock& clock_;
  UploadTags upload_tags_;
  mutable Mutex mutex_;
  struct KnownVersioning {
    bool keeps_versions = false;
    std::chrono::steady_clock::time_point until;
  };
  std::map<BucketName, KnownVersioning> versioning_ BALE_GUARDED_BY(mutex_);
  std::set<std::pair<BucketName, Condition>> refused_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cloud
