// The S3 kind against moto, which checks no signatures and knows storage classes.
#include "contract/object_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

class MotoKind {
 public:
  static constexpr bool checks_archive_state = false;
  static constexpr bool has_notifications = false;

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
  cloud::S3Store store_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Moto, ObjectStoreSuite, MotoKind);

}  // namespace bale::testing
