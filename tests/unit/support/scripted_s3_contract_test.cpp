// The S3 kind against the scripted S3 server, which is to be as S3 is: here the contract suite judges the server.
#include "contract/object_store_suite.hpp"
#include "support/scripted_s3_store.hpp"

namespace bale::testing {

// docs/testing.md says what each deviation means.
class ScriptedS3Kind : public AsS3 {
 public:
  static constexpr bool has_notifications = false;  // the rules are kept, and nothing is sent
  static constexpr bool tells_part_bytes = false;   // as S3: only when it is asked

  store::ObjectStore& store() { return scripted_.store(); }
  queue::MessageQueue& queues() { throw Error(ErrorKind::unsupported, "not used here"); }
  BucketName bucket(const std::string& name) {
    const BucketName bucket(name + "-bucket");
    store().create_bucket(bucket);
    return bucket;
  }
  bool advance(Milliseconds duration) {
    scripted_.server().advance(duration);
    return true;
  }

 private:
  ScriptedS3Store scripted_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Scripted, ObjectStoreSuite, ScriptedS3Kind);

}  // namespace bale::testing
