// An object store that does some things otherwise: a test puts its own function in the place of a call.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/object_store.hpp"

namespace bale::testing {

/// A body from memory, for answers that a test makes up.
class TextStream final : public store::GetStream {
 public:
  TextStream(store::ObjectInfo info, ByteCount offset, std::string text)
      : info_(std::move(info)), offset_(offset), length_(text.size()), text_(std::move(text)) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return length_; }
  ByteCount offset() const override { return offset_; }
  std::size_t read(MutableBytes bytes) override {
    const std::size_t taken = std::min(bytes.size(), text_.size());
    std::copy_n(as_bytes(text_).begin(), taken, bytes.begin());
    text_.erase(0, taken);
    return taken;
  }

 private:
  store::ObjectInfo info_;
  ByteCount offset_, length_;
  std::string text_;
};

/// Passes every call on to the inner store, unless the test has set the function of the same name. These are set before
/// the store is used, and may use the inner store, which is borrowed. Thread-safe as the functions are.
class OddStore final : public store::ObjectStore {
  using Store = store::ObjectStore;
  using Conditions = store::WriteConditions;

 public:
  explicit OddStore(Store& inner) : inner_(inner) {}

  std::function<store::PutResult(const ObjectAddress&, store::Body&, const store::ObjectAttributes&, const Conditions&)>
      put_;
  std::function<std::unique_ptr<store::GetStream>(const ObjectAddress&, const std::optional<store::ByteRange>&,
                                                  const store::ReadConditions&)>
      get_;
  std::function<std::optional<store::ObjectInfo>(const ObjectAddress&)> head_;
  std::function<void(const ObjectAddress&)> remove_;
  std::function<std::vector<store::RemoveOutcome>(const std::vector<store::ObjectToRemove>&)> remove_all_;
  std::function<store::PutResult(const store::CopySource&, const ObjectAddress&,
                                 const std::optional<store::ObjectAttributes>&, const Conditions&)>
      copy_;
  std::function<store::ListPage(const store::ListRequest&)> list_;
  std::function<store::VersionPage(const store::ListRequest&)> list_versions_;
  std::function<UploadId(const ObjectAddress&, const store::ObjectAttributes&)> create_upload_;
  std::function<ETag(const ObjectAddress&, const UploadId&, std::uint32_t, store::Body&)> upload_part_;
  std::function<ETag(const ObjectAddress&, const UploadId&, std::uint32_t, const store::CopySource&,
                     const std::optional<store::ByteRange>&)>
      upload_part_copy_;
  std::function<store::PutResult(const ObjectAddress&, const UploadId&, const std::vector<store::UploadedPart>&,
                                 const Conditions&)>
      complete_upload_;
  std::function<void(const ObjectAddress&, const UploadId&)> abort_upload_;
  std::function<std::vector<store::UploadedPart>()> list_parts_;
  std::function<std::vector<store::ListedUpload>(const std::string&)> list_uploads_;

  void expect_owner(const BucketName& b, const std::string& a) override { inner_.expect_owner(b, a); }
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
  store::PutResult put(const ObjectAddress& o, store::Body& b, const store::ObjectAttributes& a,
                       const Conditions& c) override {
    return put_ ? put_(o, b, a, c) : inner_.put(o, b, a, c);
  }
  std::unique_ptr<store::GetStream> get(const ObjectAddress& o, const std::optional<store::ByteRange>& r,
                                        const store::ReadConditions& c) override {
    return get_ ? get_(o, r, c) : inner_.get(o, r, c);
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& o, const store::ReadConditions& c) override {
    return head_ ? head_(o) : inner_.head(o, c);
  }
  store::DeleteResult remove(const ObjectAddress& o, const VersionId& v, const store::DeleteConditions& c) override {
    if (remove_) remove_(o);
    return inner_.remove(o, v, c);
  }
  std::vector<store::RemoveOutcome> remove_all(const BucketName& b,
                                               const std::vector<store::ObjectToRemove>& o) override {
    return remove_all_ ? remove_all_(o) : inner_.remove_all(b, o);
  }
  store::PutResult copy(const store::CopySource& f, const ObjectAddress& t,
                        const std::optional<store::ObjectAttributes>& r, const Conditions& c) override {
    return copy_ ? copy_(f, t, r, c) : inner_.copy(f, t, r, c);
  }
  store::ListPage list(const BucketName& b, const store::ListRequest& r) override {
    return list_ ? list_(r) : inner_.list(b, r);
  }
  store::VersionPage list_versions(const BucketName& b, const store::ListRequest& r) override {
    return list_versions_ ? list_versions_(r) : inner_.list_versions(b, r);
  }
  store::Tags get_tags(const ObjectAddress& o, const VersionId& v) override { return inner_.get_tags(o, v); }
  void set_tags(const ObjectAddress& o, const store::Tags& t, const VersionId& v) override { inner_.set_tags(o, t, v); }
  UploadId create_upload(const ObjectAddress& o, const store::ObjectAttributes& a) override {
    return create_upload_ ? create_upload_(o, a) : inner_.create_upload(o, a);
  }
  ETag upload_part(const ObjectAddress& o, const UploadId& u, std::uint32_t n, store::Body& b) override {
    return upload_part_ ? upload_part_(o, u, n, b) : inner_.upload_part(o, u, n, b);
  }
  ETag upload_part_copy(const ObjectAddress& o, const UploadId& u, std::uint32_t n, const store::CopySource& f,
                        const std::optional<store::ByteRange>& r) override {
    return upload_part_copy_ ? upload_part_copy_(o, u, n, f, r) : inner_.upload_part_copy(o, u, n, f, r);
  }
  store::PutResult complete_upload(const ObjectAddress& o, const UploadId& u, const std::vector<store::UploadedPart>& p,
                                   const Conditions& c) override {
    return complete_upload_ ? complete_upload_(o, u, p, c) : inner_.complete_upload(o, u, p, c);
  }
  void abort_upload(const ObjectAddress& o, const UploadId& u) override {
    if (abort_upload_) return abort_upload_(o, u);
    inner_.abort_upload(o, u);
  }
  std::vector<store::UploadedPart> list_parts(const ObjectAddress& o, const UploadId& u) override {
    return list_parts_ ? list_parts_() : inner_.list_parts(o, u);
  }
  std::vector<store::ListedUpload> list_uploads(const BucketName& b, const std::string& p) override {
    return list_uploads_ ? list_uploads_(p) : inner_.list_uploads(b, p);
  }
  void restore(const ObjectAddress& o, int d, const std::string& t, const VersionId& v) override {
    inner_.restore(o, d, t, v);
  }
  std::string presign_get(const ObjectAddress& o, std::chrono::seconds e) override { return inner_.presign_get(o, e); }

 private:
  Store& inner_;
};

}  // namespace bale::testing
