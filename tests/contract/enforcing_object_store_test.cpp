// The decorator that does itself what servers leave out, as a kind of the object store: over a store that leaves
// nothing out, over one that ignores conditions and forgets tags, and over one that refuses conditions.
#include "cloud/enforcing_store.hpp"
#include "contract/as_s3.hpp"
#include "contract/embedded_kind.hpp"
#include "contract/object_store_suite.hpp"
#include "support/lax_store.hpp"

namespace bale::testing {

class EnforcingKind : public AsS3 {
 public:
  explicit EnforcingKind(Laxity laxity = {}) : lax_(embedded_.store(), std::move(laxity)) {}
  store::ObjectStore& store() { return store_; }
  queue::MessageQueue& queues() { return embedded_.queues(); }
  std::string name(const std::string& name) { return embedded_.name(name); }
  BucketName bucket(const std::string& name) { return embedded_.bucket(name); }
  bool advance(Milliseconds duration) {
    outside_.clock.advance(duration);
    return embedded_.advance(duration);
  }

 private:
  EmbeddedKind embedded_;
  FakeWorld outside_;  ///< of the decorator
  LaxStore lax_;
  cloud::EnforcingStore store_{lax_, outside_.clock};
};

class OverSoundStore : public EnforcingKind {};

class OverIgnoringStore : public EnforcingKind {
 public:
  OverIgnoringStore() : EnforcingKind(like_ceph_rgw()) {}
};

class OverRefusingStore : public EnforcingKind {
 public:
  OverRefusingStore() : EnforcingKind(laxity()) {}
  static constexpr bool has_put_conditions = false;
  static constexpr bool sends_once = false;  // again without the condition

 private:
  static Laxity laxity() {
    Laxity lax = like_swift();
    lax.refuses_part_checksums = false;  // who refuses them does not check them either
    return lax;
  }
};

using EnforcingKinds = ::testing::Types<OverSoundStore, OverIgnoringStore, OverRefusingStore>;

INSTANTIATE_TYPED_TEST_SUITE_P(Enforcing, ObjectStoreSuite, EnforcingKinds);

}  // namespace bale::testing
