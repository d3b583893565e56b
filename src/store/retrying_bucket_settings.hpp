// Decorator: settings of buckets that repeat what failed transiently.
#pragma once

#include "flow/retrier.hpp"
#include "store/bucket_settings.hpp"

namespace bale::store {

/// Any BucketSettings, with transient failures and throttling tried again as the retrier's settings say, and never
/// after its stop. The second time sets the same again; what another set between the two attempts is overwritten.
/// Thread-safe as the inner settings are. Both are borrowed.
class RetryingBucketSettings final : public BucketSettings {
 public:
  RetryingBucketSettings(BucketSettings& inner, flow::Retrier& retrier) : inner_(inner), retrier_(retrier) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    inner_.expect_owner(bucket, account);
  }
  std::optional<BucketEncryption> get_encryption(const BucketName& bucket) override;
  void set_encryption(const BucketName& bucket, const BucketEncryption& encryption) override;
  PublicAccessBlock get_public_access_block(const BucketName& bucket) override;
  void set_public_access_block(const BucketName& bucket, const PublicAccessBlock& block) override;
  Lifecycle get_lifecycle(const BucketName& bucket) override;
  void set_lifecycle(const BucketName& bucket, const Lifecycle& lifecycle) override;
  Tags get_tags(const BucketName& bucket) override;
  void set_tags(const BucketName& bucket, const Tags& tags) override;

 private:
  BucketSettings& inner_;
  flow::Retrier& retrier_;
};

}  // namespace bale::store
