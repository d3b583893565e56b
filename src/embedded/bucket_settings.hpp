// The settings of buckets, kept in the database.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "embedded/core.hpp"
#include "store/bucket_settings.hpp"

namespace bale::embedded {

/// The settings of the buckets of all regions. They are kept as they are set, and change nothing that the store does: a
/// directory has no keys, no public access and no sweep of old objects. Thread-safe; borrows the core.
class EmbeddedBucketSettings final : public store::BucketSettings {
 public:
  explicit EmbeddedBucketSettings(Core& core) : core_(core) {}

  void expect_owner(const BucketName&, const std::string&) override {}  // a directory has no accounts
  std::optional<store::BucketEncryption> get_encryption(const BucketName& bucket) override;
  void set_encryption(const BucketName& bucket, const store::BucketEncryption& encryption) override;
  store::PublicAccessBlock get_public_access_block(const BucketName& bucket) override;
  void set_public_access_block(const BucketName& bucket, const store::PublicAccessBlock& block) override;
  store::Lifecycle get_lifecycle(const BucketName& bucket) override;
  void set_lifecycle(const BucketName& bucket, const store::Lifecycle& lifecycle) override;
  store::Tags get_tags(const BucketName& bucket) override;
  void set_tags(const BucketName& bucket, const store::Tags& tags) override;

 private:
  nlohmann::json get(const BucketName& bucket, const char* name);
  void set(const BucketName& bucket, const char* name, const nlohmann::json& value);
  Core& core_;
};

/// Forgets the settings of a bucket that is deleted.
void delete_settings(Database& database, std::int64_t bucket);

}  // namespace bale::embedded
