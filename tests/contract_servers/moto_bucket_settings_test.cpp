// The S3 kind of bucket settings against Moto.
#include "cloud/s3_bucket_settings.hpp"
#include "contract/bucket_settings_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

// moto 5. docs/testing.md says what each deviation means.
class MotoSettingsKind : public AsS3Settings {
 public:
  static constexpr bool names_rules = false;
  static constexpr bool forgets_tags = false;  // they belong to the name

  store::BucketSettings& settings() { return settings_; }
  store::ObjectStore& store() { return store_; }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(unique_name(name));
    store_.create_bucket(bucket);
    return bucket;
  }

 private:
  ServerSession server_{"BALE_TEST_MOTO_ENDPOINT"};
  cloud::S3Store store_{server_.session(), Region("eu-west-1")};
  cloud::S3BucketSettings settings_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Moto, BucketSettingsSuite, MotoSettingsKind);

}  // namespace bale::testing
