// S3 over HTTP: the AWS kind of the ObjectStore port.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "aws/s3.hpp"
#include "base/error.hpp"
#include "base/mutex.hpp"
#include "cloud/s3_routes.hpp"
#include "cloud/session.hpp"
#include "store/object_store.hpp"

namespace bale::cloud {

/// Whether the store does what a server leaves out.
enum class Help {
  where_not_aws,  ///< for servers other than AWS
  never,          ///< what the server does is what the caller sees: for those who examine it
};

/// S3, or a server that speaks its protocol, as seen from one region. Buckets of other regions are found by following
/// the service's redirect once, and remembered. Tries nothing twice beyond that: retrying is a decorator's work.
///
/// What the port says that S3 refuses is refused before anything is sent. Servers other than AWS are not trusted with
/// two things that some of them leave out without a word: conditions of copies and completed uploads, and of puts into
/// buckets that keep versions, are looked at before, and after where it can be told, and tags of uploads and copies are
/// compared. Conditions that a server refuses to know (status 501, or 400) are looked at in the same way.
/// docs/invariants.md says what remains. Checksums that callers give are sent unless the user has them left out
/// (Session::sends_checksums()); then uploads are begun without an algorithm, too. Thread-safe; each call takes a
/// connection of the session's for itself.
class S3Store final : public store::ObjectStore {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  S3Store(Session& session, Region region, Help help = Help::where_not_aws);

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

  /// Does what comes before a write, and only looks: when it fails, nothing was written.
  template <typename Look>
  static auto before_write(Look look) {
    try {
      return look();
    } catch (const Error& error) {
      throw error.without_effect();
    }
  }

  bool is_helped(const BucketName& bucket);
  /// What was there before a write on a condition.
  struct Seen {
    bool is_watched = false;  ///< the server keeps versions, and does not look at conditions itself, perhaps
    std::set<VersionId> versions;
  };
  /// Conditions that a server may refuse to know: of a PUT, a copy, a completed upload, of the source of a copy, and of
  /// a source that was uploaded in parts.
  enum class Refusable { put, copy, complete, source, source_in_parts };
  bool is_refused(const BucketName& bucket, Refusable condition);
  void remember_refusal(const BucketName& bucket, Refusable condition);
  store::PutResult write_on(Refusable kind, const ObjectAddress& object, const store::WriteConditions& conditions,
                            const std::function<store::PutResult(const store::WriteConditions&)>& write);
  void copy_from(const store::CopySource& from, const std::function<void(const store::CopySource&)>& copy);
  /// What a write sends that some servers do not know.
  struct Optionals {
    const store::ObjectAttributes& attributes;
    bool has_checksum = false;
  };
  template <typename Write>
  auto naming_optionals(const BucketName& bucket, const Optionals& sent, const Write& write);
  Error name_optionals(const Error& refusal, const BucketName& bucket, const Optionals& sent);
  bool keeps_versions(const BucketName& bucket);
  Seen look_at_target(const ObjectAddress& object, const store::WriteConditions& conditions, bool by_put);
  std::optional<Seen> look_at_versions(const ObjectAddress& object, const store::WriteConditions& conditions);
  store::PutResult put_once(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                            const store::WriteConditions& conditions);
  store::PutResult copy_once(const store::CopySource& from, const ObjectAddress& to,
                             const std::optional<store::ObjectAttributes>& replace,
                             const store::WriteConditions& conditions);
  void look_below(const ObjectAddress& object, const Seen& seen, const VersionId& written);
  void look_at_source(const store::CopySource& from);
  std::vector<store::RemoveOutcome> remove_in_one(const BucketName& bucket,
                                                  const std::vector<store::ObjectToRemove>& objects);
  void remember_tags(const UploadId& upload, const store::Tags& tags);
  void forget_tags(const UploadId& upload);
  void ensure_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version);
  void mend_tags(const ObjectAddress& object, const UploadId& upload, const VersionId& version);
  void mend_tags_of_own(const ObjectAddress& object, const UploadId& upload,
                        const std::vector<store::UploadedPart>& parts, const Error& refusal);
  store::PutResult complete(const ObjectAddress& object, const UploadId& upload,
                            const std::vector<store::UploadedPart>& parts, const store::WriteConditions& conditions);
  store::PutResult complete_with(const ObjectAddress& object, const UploadId& upload,
                                 const std::vector<store::UploadedPart>& parts,
                                 const store::WriteConditions& conditions, bool has_checksum);

  Session& session_;
  S3Routes routes_;
  const Help help_;
  Mutex mutex_;
  struct KnownVersioning {
    bool keeps_versions = false;
    std::chrono::steady_clock::time_point until;
  };
  std::map<BucketName, KnownVersioning> versioning_ BALE_GUARDED_BY(mutex_);  // of buckets of other servers
  std::set<std::pair<BucketName, Refusable>> refused_ BALE_GUARDED_BY(mutex_);
  std::map<UploadId, store::Tags> upload_tags_ BALE_GUARDED_BY(mutex_);  // of uploads under way on other servers
  std::deque<UploadId> uploads_begun_ BALE_GUARDED_BY(mutex_);  // those with tags, in order; bounds upload_tags_
};

}  // namespace bale::cloud
