// The S3 kind of bucket settings against Rgw.
#include "cloud/s3_bucket_settings.hpp"
#include "contract/bucket_settings_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

// Ceph RGW 16.2. docs/testing.md says what each deviation means.
class RgwSettingsKind : public AsS3Settings {
 public:
  static constexpr bool has_encryption = false;
  static constexpr bool takes_writes_where_acls_are_blocked = false;  // every PUT is AccessDenied

  store::BucketSettings& settings() { return settings_; }
  store::ObjectStore& store() { return store_; }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(unique_name(name));
    store_.create_bucket(bucket);
    return bucket;
  }

 private:
  ServerSession server_{"BALE_TEST_RGW_ENDPOINT"};
  cloud::S3Store store_{server_.session(), Region("eu-west-1")};
  cloud::S3BucketSettings settings_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Rgw, BucketSettingsSuite, RgwSettingsKind);

}  // namespace bale::testing
