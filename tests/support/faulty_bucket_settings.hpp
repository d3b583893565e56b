// Settings of buckets that fail when told to. A fault that was armed and never came fails the test.
#pragma once

#include <string>

#include "store/bucket_settings.hpp"
#include "support/faults.hpp"

namespace bale::testing {

/// Passes everything on to real settings, except the calls that a fault matches. Thread-safe, apart from the faults'
/// settings.
class FaultyBucketSettings final : public store::BucketSettings {
  template <typename Work>
  auto call(const std::string& method, const BucketName& bucket, Work work) {
    return faults.call(method, bucket.str(), std::move(work), [] { return true; });
  }

 public:
  explicit FaultyBucketSettings(store::BucketSettings& inner) : inner_(inner) {}

  Faults faults;

  void expect_owner(const BucketName& b, const std::string& a) override { inner_.expect_owner(b, a); }
  std::optional<store::BucketEncryption> get_encryption(const BucketName& b) override {
    return call("get_encryption", b, [&] { return inner_.get_encryption(b); });
  }
  void set_encryption(const BucketName& b, const store::BucketEncryption& e) override {
    call("set_encryption", b, [&] { inner_.set_encryption(b, e); });
  }
  store::PublicAccessBlock get_public_access_block(const BucketName& b) override {
    return call("get_public_access_block", b, [&] { return inner_.get_public_access_block(b); });
  }
  void set_public_access_block(const BucketName& b, const store::PublicAccessBlock& p) override {
    call("set_public_access_block", b, [&] { inner_.set_public_access_block(b, p); });
  }
  store::Lifecycle get_lifecycle(const BucketName& b) override {
    return call("get_lifecycle", b, [&] { return inner_.get_lifecycle(b); });
  }
  void set_lifecycle(const BucketName& b, const store::Lifecycle& l) override {
    call("set_lifecycle", b, [&] { inner_.set_lifecycle(b, l); });
  }
  store::Tags get_tags(const BucketName& b) override {
    return call("get_tags", b, [&] { return inner_.get_tags(b); });
  }
  void set_tags(const BucketName& b, const store::Tags& t) override {
    call("set_tags", b, [&] { inner_.set_tags(b, t); });
  }

 private:
  store::BucketSettings& inner_;
};

}  // namespace bale::testing
