// The S3 kind against Ceph RGW, which checks signatures strictly.
#include "contract/object_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

// Ceph RGW 16.2. docs/testing.md says what each deviation means.
class RgwKind : public AsS3 {
 public:
  static constexpr bool checks_archive_state = false;   // GLACIER is a label: objects stay readable
  static constexpr bool has_notifications = false;      // to HTTP endpoints only, not to SQS
  static constexpr bool counts_tag_characters = false;  // counts bytes
  static constexpr bool has_reduced_redundancy = false;
  static constexpr bool has_s3_codes = false;
  static constexpr bool tells_missing_from_changed = false;
  static constexpr bool tells_null_versions = false;
  static constexpr bool tells_part_bytes = false;
  static constexpr bool tells_part_bytes_when_asked = false;
  static constexpr bool gives_copies_own_tags = false;
  static constexpr bool leaves_out_parts = false;  // InvalidPart unless all that were uploaded are listed
  static constexpr bool lists_restores = false;
  static constexpr bool keeps_checksums = false;  // ignored
  static constexpr bool checks_upload_size = false;
  static constexpr bool takes_encryption = false;  // over plain HTTP

  store::ObjectStore& store() { return store_; }
  queue::MessageQueue& queues() { throw Error(ErrorKind::unsupported, "RGW has no queues"); }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(unique_name(name));
    store_.create_bucket(bucket);
    return bucket;
  }
  bool advance(Milliseconds duration) { return wait_for_server(duration); }

 private:
  ServerSession server_{"BALE_TEST_RGW_ENDPOINT"};
  cloud::S3Store client_{server_.session(), Region("eu-west-1")};
  cloud::EnforcingStore store_{client_, server_.session().world().clock};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Rgw, ObjectStoreSuite, RgwKind);

}  // namespace bale::testing
