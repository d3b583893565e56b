// Decorator: an object store whose requests are counted and paced.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>

#include "flow/rate_limit.hpp"
#include "jobs/bucket/cost.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

/// Counts requests, as RequestCounts has them, and paces them. Thread-safe.
class Meter {
 public:
  /// `requests_a_second`: 0 for no limit. The clock is borrowed.
  Meter(os::Clock& clock, std::uint64_t requests_a_second, std::stop_token stop);
  RequestCounts counts() const noexcept;

  enum Kind { list, head, get, put, copy, tag, other, kinds };
  /// Counts one request, and waits until it may be sent. Throws Error{cancelled} after a stop.
  void pass(Kind kind);

 private:
  std::atomic<std::uint64_t> counts_[kinds] = {};
  std::optional<flow::RateLimit> limit_;
  const std::stop_token stop_;
};

/// Passes each request to the inner store when the meter lets it. Retries of the inner store count as one request.
/// After a stop no request begins, but for those that abort an upload. Thread-safe as the inner store is. Borrows both.
class MeteredStore final : public store::ObjectStore {
 public:
  MeteredStore(store::ObjectStore& inner, Meter& meter) : inner_(inner), meter_(meter) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    inner_.expect_owner(bucket, account);
  }
  void create_bucket(const BucketName& bucket) override { counted(Meter::other).create_bucket(bucket); }
  void delete_bucket(const BucketName& bucket) override { counted(Meter::other).delete_bucket(bucket); }
  std::optional<store::BucketInfo> head_bucket(const BucketName& bucket) override {
    return counted(Meter::head).head_bucket(bucket);
  }
  std::vector<store::BucketInfo> list_buckets() override { return counted(Meter::list).list_buckets(); }
  void set_versioning(const BucketName& bucket, store::Versioning versioning) override {
    counted(Meter::other).set_versioning(bucket, versioning);
  }
  store::Versioning get_versioning(const BucketName& bucket) override {
    return counted(Meter::get).get_versioning(bucket);
  }
  void set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) override {
    counted(Meter::other).set_notifications(bucket, rules);
  }
  std::vector<store::NotificationRule> get_notifications(const BucketName& bucket) override {
    return counted(Meter::get).get_notifications(bucket);
  }

  store::PutResult put(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                       const store::WriteConditions& conditions) override {
    return counted(Meter::put).put(object, body, attributes, conditions);
  }
  std::unique_ptr<store::GetStream> get(const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                                        const store::ReadConditions& conditions) override {
    return counted(Meter::get).get(object, range, conditions);
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& object, const store::ReadConditions& conditions) override {
    return counted(Meter::head).head(object, conditions);
  }
  store::DeleteResult remove(const ObjectAddress& object, const VersionId& version,
                             const store::DeleteConditions& conditions) override {
    return counted(Meter::other).remove(object, version, conditions);
  }
  std::vector<store::RemoveOutcome> remove_all(const BucketName& bucket,
                                               const std::vector<store::ObjectToRemove>& objects) override {
    return counted(Meter::other).remove_all(bucket, objects);
  }
  store::PutResult copy(const store::CopySource& from, const ObjectAddress& to,
                        const std::optional<store::ObjectAttributes>& replace,
                        const store::WriteConditions& conditions) override {
    return counted(Meter::copy).copy(from, to, replace, conditions);
  }
  store::ListPage list(const BucketName& bucket, const store::ListRequest& request) override {
    return counted(Meter::list).list(bucket, request);
  }
  store::VersionPage list_versions(const BucketName& bucket, const store::ListRequest& request) override {
    return counted(Meter::list).list_versions(bucket, request);
  }

  store::Tags get_tags(const ObjectAddress& object, const VersionId& version) override {
    return counted(Meter::get).get_tags(object, version);
  }
  void set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) override {
    counted(Meter::tag).set_tags(object, tags, version);
  }

  UploadId create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) override {
    return counted(Meter::put).create_upload(object, attributes);
  }
  ETag upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                   store::Body& body) override {
    return counted(Meter::put).upload_part(object, upload, number, body);
  }
  ETag upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                        const store::CopySource& from, const std::optional<store::ByteRange>& range) override {
    return counted(Meter::copy).upload_part_copy(object, upload, number, from, range);
  }
  store::PutResult complete_upload(const ObjectAddress& object, const UploadId& upload,
                                   const std::vector<store::UploadedPart>& parts,
                                   const store::WriteConditions& conditions) override {
    return counted(Meter::put).complete_upload(object, upload, parts, conditions);
  }
  void abort_upload(const ObjectAddress& object, const UploadId& upload) override {
    inner_.abort_upload(object, upload);
  }
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& object, const UploadId& upload) override {
    return inner_.list_parts(object, upload);
  }
  std::vector<store::ListedUpload> list_uploads(const BucketName& bucket, const std::string& prefix) override {
    return counted(Meter::list).list_uploads(bucket, prefix);
  }

  void restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) override {
    counted(Meter::put).restore(object, days, tier, version);
  }
  std::string presign_get(const ObjectAddress& object, std::chrono::seconds expires) override {
    return inner_.presign_get(object, expires);
  }

 private:
  store::ObjectStore& counted(Meter::Kind kind) {
    meter_.pass(kind);
    return inner_;
  }
  store::ObjectStore& inner_;
  Meter& meter_;
};

}  // namespace bale::bucket
