// An object store that fails when told to. A fault that was armed and never came fails the test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace bale::testing {

/// Passes everything on to a real store, except the calls that an armed fault matches. Thread-safe.
class FaultyStore final : public store::ObjectStore {
 private:
  struct Fault {
    std::string method, key_part;
    Error error;
    int times;
    bool after;
  };

  std::optional<Fault> take_fault(const std::string& method, const std::string& key) {
    const std::scoped_lock lock(mutex_);
    for (Fault& fault : faults_) {
      if (fault.times == 0 || fault.method != method || key.find(fault.key_part) == std::string::npos) continue;
      --fault.times;
      return fault;
    }
    return std::nullopt;
  }

  template <typename Work>
  auto call(const std::string& method, const ObjectKey& key, Work work) {
    if (before) before(method, key.str());
    const auto fault = take_fault(method, key.str());
    if (fault && !fault->after) throw fault->error;
    auto result = work();
    if (fault) throw fault->error;
    return result;
  }

 public:
  explicit FaultyStore(store::ObjectStore& inner) : inner_(inner) {}
  ~FaultyStore() override {
    for (const Fault& fault : faults_) {
      EXPECT_EQ(fault.times, 0) << "the fault armed for " << fault.method << " of " << fault.key_part << " never fired";
    }
  }

  /// The next `times` calls of `method` whose key contains `key_part` throw `error`, or, with `after`, do their work
  /// first.
  void arm(std::string method, std::string key_part, Error error, int times = 1, bool after = false) {
    const std::scoped_lock lock(mutex_);
    faults_.push_back({std::move(method), std::move(key_part), std::move(error), times, after});
  }
  /// Called before every call with its method and key: to change things at the worst moment.
  std::function<void(const std::string&, const std::string&)> before;

  void create_bucket(const BucketName& b) override { inner_.create_bucket(b); }
  void delete_bucket(const BucketName& b) override { inner_.delete_bucket(b); }
  std::optional<store::BucketInfo> head_bucket(const BucketName& b) override { return inner_.head_bucket(b); }
  std::vector<store::BucketInfo> list_buckets() override { return inner_.list_buckets(); }
  void set_versioning(const BucketName& b, store::Versioning v) override { inner_.set_versioning(b, v); }
  store::Versioning get_versioning(const BucketName& b) override { return inner_.get_versioning(b); }
  void set_notifications(const BucketName& b, const std::vector<store::NotificationRule>& r) override {
    inner_.set_notifications(b, r);
  }
  std::vector<store::NotificationRule> get_notifications(const BucketName& b) override {
    return inner_.get_notifications(b);
  }

  store::PutResult put(const ObjectAddress& o, store::Body& body, const store::ObjectAttributes& a,
                       const store::WriteConditions& c) override {
    return call("put", o.key, [&] { return inner_.put(o, body, a, c); });
  }
  std::unique_ptr<store::GetStream> get(const ObjectAddress& o, const std::optional<store::ByteRange>& r,
                                        const store::ReadConditions& c) override {
    return call("get", o.key, [&] { return inner_.get(o, r, c); });
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& o, const store::ReadConditions& c) override {
    return call("head", o.key, [&] { return inner_.head(o, c); });
  }
  store::DeleteResult remove(const ObjectAddress& o, const VersionId& v) override {
    return call("remove", o.key, [&] { return inner_.remove(o, v); });
  }
  store::PutResult copy(const store::CopySource& f, const ObjectAddress& t,
                        const std::optional<store::ObjectAttributes>& r, const store::WriteConditions& c) override {
    return call("copy", t.key, [&] { return inner_.copy(f, t, r, c); });
  }
  store::ListPage list(const BucketName& b, const store::ListRequest& r) override { return inner_.list(b, r); }
  store::VersionPage list_versions(const BucketName& b, const store::ListRequest& r) override {
    return inner_.list_versions(b, r);
  }
  store::Tags get_tags(const ObjectAddress& o, const VersionId& v) override {
    return call("get_tags", o.key, [&] { return inner_.get_tags(o, v); });
  }
  void set_tags(const ObjectAddress& o, const store::Tags& t, const VersionId& v) override { inner_.set_tags(o, t, v); }
  UploadId create_upload(const ObjectAddress& o, const store::ObjectAttributes& a) override {
    return call("create_upload", o.key, [&] { return inner_.create_upload(o, a); });
  }
  ETag upload_part(const ObjectAddress& o, const UploadId& u, std::uint32_t n, store::Body& b) override {
    return call("upload_part", o.key, [&] { return inner_.upload_part(o, u, n, b); });
  }
  ETag upload_part_copy(const ObjectAddress& o, const UploadId& u, std::uint32_t n, const store::CopySource& f,
                        const std::optional<store::ByteRange>& r) override {
    return call("upload_part_copy", o.key, [&] { return inner_.upload_part_copy(o, u, n, f, r); });
  }
  store::PutResult complete_upload(const ObjectAddress& o, const UploadId& u, const std::vector<store::UploadedPart>& p,
                                   const store::WriteConditions& c) override {
    return call("complete_upload", o.key, [&] { return inner_.complete_upload(o, u, p, c); });
  }
  void abort_upload(const ObjectAddress& o, const UploadId& u) override { inner_.abort_upload(o, u); }
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& o, const UploadId& u) override {
    return inner_.list_parts(o, u);
  }
  std::vector<store::ListedUpload> list_uploads(const BucketName& b, const std::string& p) override {
    return inner_.list_uploads(b, p);
  }
  void restore(const ObjectAddress& o, int d, const std::string& t, const VersionId& v) override {
    inner_.restore(o, d, t, v);
  }
  std::string presign_get(const ObjectAddress& o, std::chrono::seconds e) override { return inner_.presign_get(o, e); }

 private:
  store::ObjectStore& inner_;
  std::mutex mutex_;
  std::vector<Fault> faults_;
};

}  // namespace bale::testing
