// S3 over HTTP: the AWS kind of the ObjectStore port.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/s3.hpp"
#include "cloud/optional_features.hpp"
#include "cloud/s3_routes.hpp"
#include "cloud/session.hpp"
#include "store/object_store.hpp"

namespace bale::cloud {

/// S3, or a server that speaks its protocol, as seen from one region. Buckets of other regions are found by following
/// the service's redirect once, and remembered. Tries nothing twice beyond that: retrying is a decorator's work.
///
/// What the port says that S3 refuses is refused before anything is sent. Then the server is taken at its word: what
/// servers other than AWS ignore, refuse or forget is the work of a decorator, EnforcingStore. Checksums that
/// callers give are sent unless the user has them left out (Session::sends_checksums()); then uploads are begun without
/// an algorithm, too. complete_upload() returns an empty ETag where the response has one. Thread-safe; each call takes
/// a connection of the session's for itself.
class S3Store final : public store::ObjectStore {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  S3Store(Session& session, Region region) : session_(session), routes_(session, std::move(region)) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    routes_.expect_owner(bucket, account);
  }

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
  using Build = S3Routes::Build;

  SendOptions options_for(const BucketName& bucket, const store::BodyDigests& digests);
  Outcome send(const BucketName& bucket, const Build& build) { return routes_.send(bucket, build); }
  OpenCall open(const BucketName& bucket, const std::string& where, const Build& build, http::Body* body = nullptr,
                const SendOptions& options = {}) {
    return routes_.open(bucket, where, build, body, options);
  }
  std::string fetch(const BucketName& bucket, const std::string& where, const Build& build) {
    return routes_.fetch(bucket, where, build);
  }
  void run(const BucketName& bucket, const std::string& where, const Build& build) {
    routes_.run(bucket, where, build);
  }
  store::ObjectInfo read_head(const ObjectAddress& object, const Outcome& outcome,
                              const store::ReadConditions& conditions);
  std::optional<store::ObjectInfo> look_by_get(const ObjectAddress& object, const store::ReadConditions& conditions,
                                               const http::AnswerHead* without_size = nullptr);
  void learn_parts(const ObjectAddress& object, store::ObjectInfo& info);

  template <typename Write>
  auto naming_features(const BucketName& bucket, const OptionalFeatures& sent, const Write& write);
  std::vector<store::RemoveOutcome> remove_in_one(const BucketName& bucket,
                                                  const std::vector<store::ObjectToRemove>& objects);

  Session& session_;
  S3Routes routes_;
};

}  // namespace bale::cloud
