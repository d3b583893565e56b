// An object store that fails when told to. A fault that was armed and never came fails the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "store/object_store.hpp"
#include "support/faults.hpp"

namespace bale::testing {

/// A body whose connection breaks after so many bytes.
class BreakingStream final : public store::GetStream {
 public:
  /// `may_break` is asked when the time has come.
  BreakingStream(std::unique_ptr<store::GetStream> inner, ByteCount after, std::function<bool()> may_break)
      : inner_(std::move(inner)), left_(after), may_break_(std::move(may_break)) {}
  const store::ObjectInfo& info() const override { return inner_->info(); }
  ByteCount length() const override { return inner_->length(); }
  ByteCount offset() const override { return inner_->offset(); }
  std::size_t read(MutableBytes bytes) override {
    if (whole_) return inner_->read(bytes);
    if (left_ == 0) {
      if (may_break_()) throw Error(ErrorKind::unavailable, "the body broke");
      whole_ = true;
      return inner_->read(bytes);
    }
    const std::size_t got = inner_->read(bytes.first(std::min<std::size_t>(bytes.size(), left_)));
    left_ -= got;
    return got;
  }

 private:
  std::unique_ptr<store::GetStream> inner_;
  ByteCount left_;
  std::function<bool()> may_break_;
  bool whole_ = false;
};

/// Passes everything on to a real store, except the calls that a fault matches. Thread-safe.
class FaultyStore final : public store::ObjectStore {
 private:
  struct Break {
    std::string key_part;
    ByteCount after;
    int times;
  };

  template <typename Work>
  auto call(const std::string& method, const BucketName& bucket, const std::string& key, Work work) {
    if (before) before(method, key);
    return faults.call(method, key, std::move(work), [&] { return may_lose_answer(method, bucket); });
  }
  template <typename Work>
  auto call(const std::string& method, const ObjectAddress& object, Work work) {
    return call(method, object.bucket, object.key.str(), std::move(work));
  }
  /// A write that is done twice shows where versions are kept or events are counted: such answers arrive.
  bool may_lose_answer(const std::string& method, const BucketName& bucket) {
    if (method == "create_upload" || method == "set_notifications") return false;
    return !inner_.head_bucket(bucket) ||
           (inner_.get_versioning(bucket) == store::Versioning::never && inner_.get_notifications(bucket).empty());
  }

  std::optional<ByteCount> take_break(const std::string& key, ByteCount length) {
    const std::scoped_lock lock(mutex_);
    for (Break& each : breaks_) {
      if (each.times == 0 || key.find(each.key_part) == std::string::npos) continue;
      --each.times;
      return each.after;
    }
    if (faults.is_periodic() && length > 1 && ++streams_ % 2 == 0) return length / 2;
    return std::nullopt;
  }
  /// Periodic breaks come only where the rest can still be had.
  bool is_still_there(const ObjectAddress& object, const store::ReadConditions& conditions, const ETag& etag) {
    try {
      const auto info = inner_.head(object, {.version_id = conditions.version_id, .if_match = {}});
      return info && info->etag == etag;
    } catch (const Error&) {
      return false;
    }
  }

 public:
  explicit FaultyStore(store::ObjectStore& inner) : inner_(inner) {}
  ~FaultyStore() override {
    for (const Break& each : breaks_) EXPECT_EQ(each.times, 0) << "no body of " << each.key_part << " broke";
  }

  /// The next `times` calls of `method` whose key contains `key_part` throw `error`, or, with `after`, do their work
  /// first.
  void arm(std::string method, std::string key_part, Error error, int times = 1, bool after = false) {
    faults.arm(std::move(method), std::move(key_part), std::move(error), times,
               after ? FaultTime::after : FaultTime::before);
  }
  /// The next `times` bodies of objects whose key contains `key_part` break after `bytes` bytes.
  void arm_break(std::string key_part, ByteCount bytes, int times = 1) {
    const std::scoped_lock lock(mutex_);
    breaks_.push_back({std::move(key_part), bytes, times});
  }
  Faults faults;
  /// Called before every call with its method and key: to change things at the worst moment.
  std::function<void(const std::string&, const std::string&)> before;

  void expect_owner(const BucketName& b, const std::string& a) override { inner_.expect_owner(b, a); }
  void create_bucket(const BucketName& b) override {
    call("create_bucket", b, "", [&] { inner_.create_bucket(b); });
  }
  void delete_bucket(const BucketName& b) override {
    call("delete_bucket", b, "", [&] { inner_.delete_bucket(b); });
  }
  std::optional<store::BucketInfo> head_bucket(const BucketName& b) override {
    return call("head_bucket", b, "", [&] { return inner_.head_bucket(b); });
  }
  std::vector<store::BucketInfo> list_buckets() override {
    return call("list_buckets", {}, "", [&] { return inner_.list_buckets(); });
  }
  void set_versioning(const BucketName& b, store::Versioning v) override {
    call("set_versioning", b, "", [&] { inner_.set_versioning(b, v); });
  }
  store::Versioning get_versioning(const BucketName& b) override {
    return call("get_versioning", b, "", [&] { return inner_.get_versioning(b); });
  }
  void set_notifications(const BucketName& b, const std::vector<store::NotificationRule>& r) override {
    call("set_notifications", b, "", [&] { inner_.set_notifications(b, r); });
  }
  std::vector<store::NotificationRule> get_notifications(const BucketName& b) override {
    return call("get_notifications", b, "", [&] { return inner_.get_notifications(b); });
  }

  store::PutResult put(const ObjectAddress& o, store::Body& body, const store::ObjectAttributes& a,
                       const store::WriteConditions& c) override {
    return call("put", o, [&] { return inner_.put(o, body, a, c); });
  }
  std::unique_ptr<store::GetStream> get(const ObjectAddress& o, const std::optional<store::ByteRange>& r,
                                        const store::ReadConditions& c) override {
    auto stream = call("get", o, [&] { return inner_.get(o, r, c); });
    const auto after = take_break(o.key.str(), stream->length());
    if (!after) return stream;
    const ETag etag = stream->info().etag;
    const bool always = !faults.is_periodic();
    return std::make_unique<BreakingStream>(
        std::move(stream), *after, [this, o, c, etag, always] { return always || is_still_there(o, c, etag); });
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& o, const store::ReadConditions& c) override {
    return call("head", o, [&] { return inner_.head(o, c); });
  }
  store::DeleteResult remove(const ObjectAddress& o, const VersionId& v, const store::DeleteConditions& c) override {
    return call("remove", o, [&] { return inner_.remove(o, v, c); });
  }
  std::vector<store::RemoveOutcome> remove_all(const BucketName& b,
                                               const std::vector<store::ObjectToRemove>& o) override {
    return call("remove_all", b, o.empty() ? "" : o.front().key.str(), [&] { return inner_.remove_all(b, o); });
  }
  store::PutResult copy(const store::CopySource& f, const ObjectAddress& t,
                        const std::optional<store::ObjectAttributes>& r, const store::WriteConditions& c) override {
    return call("copy", t, [&] { return inner_.copy(f, t, r, c); });
  }
  store::ListPage list(const BucketName& b, const store::ListRequest& r) override {
    return call("list", b, r.prefix, [&] { return inner_.list(b, r); });
  }
  store::VersionPage list_versions(const BucketName& b, const store::ListRequest& r) override {
    return call("list_versions", b, r.prefix, [&] { return inner_.list_versions(b, r); });
  }
  store::Tags get_tags(const ObjectAddress& o, const VersionId& v) override {
    return call("get_tags", o, [&] { return inner_.get_tags(o, v); });
  }
  void set_tags(const ObjectAddress& o, const store::Tags& t, const VersionId& v) override {
    call("set_tags", o, [&] { inner_.set_tags(o, t, v); });
  }
  UploadId create_upload(const ObjectAddress& o, const store::ObjectAttributes& a) override {
    return call("create_upload", o, [&] { return inner_.create_upload(o, a); });
  }
  ETag upload_part(const ObjectAddress& o, const UploadId& u, std::uint32_t n, store::Body& b) override {
    return call("upload_part", o, [&] { return inner_.upload_part(o, u, n, b); });
  }
  ETag upload_part_copy(const ObjectAddress& o, const UploadId& u, std::uint32_t n, const store::CopySource& f,
                        const std::optional<store::ByteRange>& r) override {
    return call("upload_part_copy", o, [&] { return inner_.upload_part_copy(o, u, n, f, r); });
  }
  store::PutResult complete_upload(const ObjectAddress& o, const UploadId& u, const std::vector<store::UploadedPart>& p,
                                   const store::WriteConditions& c) override {
    return call("complete_upload", o, [&] { return inner_.complete_upload(o, u, p, c); });
  }
  void abort_upload(const ObjectAddress& o, const UploadId& u) override {
    call("abort_upload", o, [&] { inner_.abort_upload(o, u); });
  }
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& o, const UploadId& u) override {
    return call("list_parts", o, [&] { return inner_.list_parts(o, u); });
  }
  std::vector<store::ListedUpload> list_uploads(const BucketName& b, const std::string& p) override {
    return call("list_uploads", b, p, [&] { return inner_.list_uploads(b, p); });
  }
  void restore(const ObjectAddress& o, int d, const std::string& t, const VersionId& v) override {
    call("restore", o, [&] { inner_.restore(o, d, t, v); });
  }
  std::string presign_get(const ObjectAddress& o, std::chrono::seconds e) override { return inner_.presign_get(o, e); }

 private:
  store::ObjectStore& inner_;
  std::mutex mutex_;
  std::vector<Break> breaks_;
  int streams_ = 0;
};

}  // namespace bale::testing
