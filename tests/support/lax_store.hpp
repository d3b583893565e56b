// An object store that ignores, refuses or forgets what some S3 servers do: for tests of what makes up for it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace bale::testing {

/// What a LaxStore does otherwise than S3.
struct Laxity {
  // Conditions that are ignored:
  bool ignores_put_conditions = false;  ///< where the bucket keeps versions: If-None-Match
  bool ignores_copy_conditions = false;
  bool ignores_complete_conditions = false;
  bool ignores_remove_conditions = false;
  bool ignores_source_condition = false;
  // Conditions that are refused:
  bool refuses_put_if_match = false;       ///< 412 where the bucket keeps versions, also where the condition holds
  bool refuses_multipart_source = false;   ///< 412 for the ETag of an upload in parts, also where it is the source's
  std::optional<Error> refusal = {};       ///< of any condition, also of one on the source of a copy
  std::optional<Error> tags_refusal = {};  ///< of get_tags() and set_tags()
  std::optional<Error> versioning_refusal = {};  ///< of get_versioning()
  std::optional<Error> versions_refusal = {};    ///< of list_versions()
  bool refuses_part_checksums = false;           ///< MalformedXML for a list of parts with checksums
  bool lists_markers_last = false;               ///< list_versions() has delete markers after all versions of their key
  // What is forgotten:
  bool forgets_upload_tags = false;
  bool forgets_copy_tags = false;
  bool omits_complete_etag = false;  ///< of the result of complete_upload()
};

/// As Ceph RGW 16.
inline Laxity like_ceph_rgw() {
  Laxity lax;
  lax.ignores_put_conditions = lax.ignores_copy_conditions = lax.ignores_complete_conditions = true;
  lax.ignores_remove_conditions = lax.ignores_source_condition = lax.refuses_put_if_match = true;
  lax.forgets_upload_tags = lax.forgets_copy_tags = true;
  return lax;
}

/// As OpenStack Swift 2.30, but with tags.
inline Laxity like_swift() {
  Laxity lax;
  lax.refusal = Error(ErrorKind::unsupported, "not implemented").with_code("NotImplemented");
  lax.refuses_part_checksums = lax.omits_complete_etag = true;
  return lax;
}

/// Passes calls on to the inner store, but for what `lax` says; notes the calls. Thread-safe as the inner store is,
/// while `lax`, `before` and `after` stay as they are. The inner store is borrowed.
class LaxStore final : public store::ObjectStore {
  using Conditions = store::WriteConditions;

 public:
  explicit LaxStore(store::ObjectStore& inner, Laxity laxity = {}) : lax(std::move(laxity)), inner_(inner) {}

  Laxity lax;
  /// Called with each call's text before and after it is done; may use the inner store, and may throw in its place.
  std::function<void(const std::string&call)> before, after;

  /// Returns the calls since the last time, as "method key": "put k if-none-match", "copy k source-if-match".
  std::vector<std::string> calls() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(calls_, {});
  }

  void expect_owner(const BucketName& b, const std::string& a) override { inner_.expect_owner(b, a); }
  void create_bucket(const BucketName& b) override { inner_.create_bucket(b); }
  void delete_bucket(const BucketName& b) override { inner_.delete_bucket(b); }
  std::optional<store::BucketInfo> head_bucket(const BucketName& b) override { return inner_.head_bucket(b); }
  std::vector<store::BucketInfo> list_buckets() override { return inner_.list_buckets(); }
  void set_versioning(const BucketName& b, store::Versioning v) override {
    call("set_versioning", [&] { inner_.set_versioning(b, v); });
  }
  store::Versioning get_versioning(const BucketName& b) override {
    return call("get_versioning", [&] {
      if (lax.versioning_refusal) throw *lax.versioning_refusal;
      return inner_.get_versioning(b);
    });
  }
  void set_notifications(const BucketName& b, const std::vector<store::NotificationRule>& r) override {
    inner_.set_notifications(b, r);
  }
  std::vector<store::NotificationRule> get_notifications(const BucketName& b) override {
    return inner_.get_notifications(b);
  }

  store::PutResult put(const ObjectAddress& o, store::Body& body, const store::ObjectAttributes& a,
                       const Conditions& c) override {
    return call("put " + o.key.str() + text_of(c), [&] {
      refuse_target(c);
      const bool keeps_versions = has_target(c) && inner_.get_versioning(o.bucket) != store::Versioning::never;
      if (keeps_versions && lax.refuses_put_if_match && !c.if_match.empty()) throw failed();
      return inner_.put(o, body, a, without_target(c, keeps_versions && lax.ignores_put_conditions));
    });
  }
  std::unique_ptr<store::GetStream> get(const ObjectAddress& o, const std::optional<store::ByteRange>& r,
                                        const store::ReadConditions& c) override {
    return inner_.get(o, r, c);
  }
  std::optional<store::ObjectInfo> head(const ObjectAddress& o, const store::ReadConditions& c) override {
    return call("head " + o.key.str(), [&] { return inner_.head(o, c); });
  }
  store::DeleteResult remove(const ObjectAddress& o, const VersionId& v, const store::DeleteConditions& c) override {
    const Conditions target{.if_match = c.if_match};
    return call("remove " + o.key.str() + (v.empty() ? "" : " version") + text_of(target), [&] {
      refuse_target(target);
      return inner_.remove(o, v, {without_target(target, lax.ignores_remove_conditions).if_match});
    });
  }
  std::vector<store::RemoveOutcome> remove_all(const BucketName& b,
                                               const std::vector<store::ObjectToRemove>& objects) override {
    std::string keys;
    for (const store::ObjectToRemove& each : objects) keys += " " + each.key.str();
    return call("remove_all" + keys, [&] { return inner_.remove_all(b, objects); });
  }
  store::PutResult copy(const store::CopySource& f, const ObjectAddress& t,
                        const std::optional<store::ObjectAttributes>& r, const Conditions& c) override {
    return call("copy " + t.key.str() + text_of(c) + text_of(f), [&] {
      refuse_target(c);
      std::optional<store::ObjectAttributes> kept = r;
      if (kept && lax.forgets_copy_tags) kept->tags.clear();
      return inner_.copy(source(f), t, kept, without_target(c, lax.ignores_copy_conditions));
    });
  }
  store::ListPage list(const BucketName& b, const store::ListRequest& r) override { return inner_.list(b, r); }
  store::VersionPage list_versions(const BucketName& b, const store::ListRequest& r) override {
    return call("list_versions", [&] {
      if (lax.versions_refusal) throw *lax.versions_refusal;
      store::VersionPage page = inner_.list_versions(b, r);
      if (lax.lists_markers_last) {
        std::stable_sort(page.versions.begin(), page.versions.end(), [](const auto& left, const auto& right) {
          return std::pair(left.key, left.is_delete_marker) < std::pair(right.key, right.is_delete_marker);
        });
      }
      return page;
    });
  }

  store::Tags get_tags(const ObjectAddress& o, const VersionId& v) override {
    return call("get_tags " + o.key.str(), [&] {
      if (lax.tags_refusal) throw *lax.tags_refusal;
      return inner_.get_tags(o, v);
    });
  }
  void set_tags(const ObjectAddress& o, const store::Tags& t, const VersionId& v) override {
    call("set_tags " + o.key.str(), [&] {
      if (lax.tags_refusal) throw *lax.tags_refusal;
      inner_.set_tags(o, t, v);
    });
  }

  UploadId create_upload(const ObjectAddress& o, const store::ObjectAttributes& a) override {
    return call("create_upload " + o.key.str(), [&] {
      store::ObjectAttributes kept = a;
      if (lax.forgets_upload_tags) kept.tags.clear();
      return inner_.create_upload(o, kept);
    });
  }
  ETag upload_part(const ObjectAddress& o, const UploadId& u, std::uint32_t n, store::Body& b) override {
    return call("upload_part " + o.key.str(), [&] { return inner_.upload_part(o, u, n, b); });
  }
  ETag upload_part_copy(const ObjectAddress& o, const UploadId& u, std::uint32_t n, const store::CopySource& f,
                        const std::optional<store::ByteRange>& r) override {
    return call("upload_part_copy " + o.key.str() + text_of(f),
                [&] { return inner_.upload_part_copy(o, u, n, source(f), r); });
  }
  store::PutResult complete_upload(const ObjectAddress& o, const UploadId& u, const std::vector<store::UploadedPart>& p,
                                   const Conditions& c) override {
    return call("complete " + o.key.str() + text_of(c), [&] {
      refuse_target(c);
      for (const store::UploadedPart& part : p) {
        if (part.checksum && lax.refuses_part_checksums)
          throw Error(ErrorKind::invalid, "malformed").with_code("MalformedXML");
      }
      store::PutResult done = inner_.complete_upload(o, u, p, without_target(c, lax.ignores_complete_conditions));
      if (lax.omits_complete_etag) done.etag = {};
      return done;
    });
  }
  void abort_upload(const ObjectAddress& o, const UploadId& u) override {
    call("abort " + o.key.str(), [&] { inner_.abort_upload(o, u); });
  }
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
  template <typename Work>
  std::invoke_result_t<Work&> call(const std::string& text, Work work) {
    {
      const std::scoped_lock lock(mutex_);
      calls_.push_back(text);
    }
    if (before) before(text);
    if constexpr (std::is_void_v<std::invoke_result_t<Work&>>) {
      work();
      if (after) after(text);
    } else {
      auto result = work();
      if (after) after(text);
      return result;
    }
  }

  static bool has_target(const Conditions& c) { return c.if_none_match || !c.if_match.empty(); }
  static std::string text_of(const Conditions& c) {
    if (c.if_none_match) return " if-none-match";
    return c.if_match.empty() ? "" : " if-match";
  }
  static std::string text_of(const store::CopySource& from) { return from.if_match.empty() ? "" : " source-if-match"; }
  static Conditions without_target(Conditions c, bool ignored) {
    if (ignored) c.if_none_match = false, c.if_match = {};
    return c;
  }
  static Error failed() { return Error(ErrorKind::precondition, "no").with_code("PreconditionFailed"); }
  void refuse_target(const Conditions& c) const {
    if (has_target(c) && lax.refusal) throw *lax.refusal;
  }
  /// The source as the inner store is to see it.
  store::CopySource source(store::CopySource from) const {
    if (from.if_match.empty()) return from;
    if (lax.refusal) throw *lax.refusal;
    if (lax.refuses_multipart_source && from.if_match.str().find('-') != std::string::npos) throw failed();
    if (lax.ignores_source_condition) from.if_match = {};
    return from;
  }

  store::ObjectStore& inner_;
  std::mutex mutex_;
  std::vector<std::string> calls_;
};

}  // namespace bale::testing
