// S3 over HTTP: the AWS kind of the BucketSettings port.
#pragma once

#include <optional>
#include <string>

#include "cloud/s3_routes.hpp"
#include "cloud/session.hpp"
#include "store/bucket_settings.hpp"

namespace bale::cloud {

/// The settings of buckets of S3, or of a server that speaks its protocol, as seen from one region. What the port says
/// that S3 refuses is refused before anything is sent. Tries nothing twice: retrying is a decorator's work.
/// Thread-safe.
class S3BucketSettings final : public store::BucketSettings {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  S3BucketSettings(Session& session, Region region) : routes_(session, std::move(region)) {}

  void expect_owner(const BucketName& bucket, const std::string& account) override {
    routes_.expect_owner(bucket, account);
  }
  std::optional<store::BucketEncryption> get_encryption(const BucketName& bucket) override;
  void set_encryption(const BucketName& bucket, const store::BucketEncryption& encryption) override;
  store::PublicAccessBlock get_public_access_block(const BucketName& bucket) override;
  void set_public_access_block(const BucketName& bucket, const store::PublicAccessBlock& block) override;
  store::Lifecycle get_lifecycle(const BucketName& bucket) override;
  void set_lifecycle(const BucketName& bucket, const store::Lifecycle& lifecycle) override;
  store::Tags get_tags(const BucketName& bucket) override;
  void set_tags(const BucketName& bucket, const store::Tags& tags) override;

 private:
  struct Document {
    http::AnswerHead head;
    std::string body;
  };
  std::optional<Document> get(const BucketName& bucket, const aws::BucketSetting& setting);
  void set(const BucketName& bucket, const aws::BucketSetting& setting, const std::string& content);
  void remove(const BucketName& bucket, const aws::BucketSetting& setting);

  S3Routes routes_;
};

}  // namespace bale::cloud
