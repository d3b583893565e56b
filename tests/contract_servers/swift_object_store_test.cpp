// The S3 kind against OpenStack Swift's S3 API, which checks signatures and refuses what it does not have (501).
#include "contract/object_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

// Swift 2.30. docs/testing.md says what each deviation means.
class SwiftKind : public AsS3 {
 public:
  static constexpr bool checks_archive_state = false;
  static constexpr bool has_notifications = false;
  static constexpr bool has_storage_classes = false;
  static constexpr bool has_tags = false;
  static constexpr bool has_put_conditions = false;
  static constexpr bool keeps_website_redirect = false;
  static constexpr bool keeps_null_versions = false;
  static constexpr bool reads_null_versions = false;  // they get an ID like others
  static constexpr bool tells_removed_markers = false;
  static constexpr bool tells_part_bytes = false;
  static constexpr bool tells_part_bytes_when_asked = false;
  static constexpr bool gives_copies_own_tags = false;  // they keep the source's
  static constexpr bool checks_if_match_of_uploads = false;
  static constexpr bool checks_ranges_of_part_copies = false;
  static constexpr bool names_signed_digests = false;
  static constexpr bool tells_markers_of_many = false;
  static constexpr bool dates_versions_when_written = false;
  static constexpr bool shows_versions_below_removed_many = false;
  static constexpr bool removes_versioned_on_condition = false;
  static constexpr bool lists_restores = false;
  static constexpr bool keeps_checksums = false;  // ignored
  static constexpr bool takes_encryption = false;
  static constexpr bool checks_upload_size = false;

  store::ObjectStore& store() { return store_; }
  queue::MessageQueue& queues() { throw Error(ErrorKind::unsupported, "Swift has no queues"); }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(unique_name(name));
    store_.create_bucket(bucket);
    return bucket;
  }
  bool advance(Milliseconds duration) { return wait_for_server(duration); }

 private:
  ServerSession server_{"BALE_TEST_SWIFT_ENDPOINT"};
  cloud::S3Store client_{server_.session(), Region("eu-west-1")};
  cloud::EnforcingStore store_{client_, server_.session().world().clock};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Swift, ObjectStoreSuite, SwiftKind);

}  // namespace bale::testing
