// The S3 kind against moto, which checks no signatures and knows storage classes.
#include "contract/object_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

// moto 5. docs/testing.md says what each deviation means.
class MotoKind : public AsS3 {
 public:
  static constexpr bool checks_archive_state = false;
  static constexpr bool has_notifications = false;
  static constexpr bool keeps_null_versions = false;
  static constexpr bool tells_part_bytes = false;
  static constexpr bool checks_ranges_of_part_copies = false;
  static constexpr bool knows_ended_uploads = false;  // 500
  static constexpr bool lists_markers_among_versions = false;
  static constexpr bool tells_removed_markers = false;
  static constexpr bool checks_body_digests = false;
  static constexpr bool checks_signed_digests = false;
  static constexpr bool lists_restores = false;
  static constexpr bool keeps_checksums = false;  // only with x-amz-sdk-checksum-algorithm, and CRC32 for CRC64NVME
  static constexpr bool checks_upload_size = false;
  static constexpr bool takes_key(std::string_view key) { return key.find('\n') == std::string_view::npos; }

  store::ObjectStore& store() { return store_; }
  queue::MessageQueue& queues() { throw Error(ErrorKind::unsupported, "not used here"); }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(unique_name(name));
    store_.create_bucket(bucket);
    return bucket;
  }
  bool advance(Milliseconds duration) { return wait_for_server(duration); }

 private:
  ServerSession server_{"BALE_TEST_MOTO_ENDPOINT"};
  cloud::S3Store client_{server_.session(), Region("eu-west-1")};
  cloud::EnforcingStore store_{client_, server_.session().world().clock};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Moto, ObjectStoreSuite, MotoKind);

}  // namespace bale::testing
