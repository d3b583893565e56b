#include "contract/object_store_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

template <int FaultEvery>
class RetryingObjectKind : public RetryingKind<FaultEvery>, public AsS3 {
 public:
  static constexpr bool sends_once = FaultEvery == 0;
};

using RetryingObjectKinds = ::testing::Types<RetryingObjectKind<0>, RetryingObjectKind<3>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, ObjectStoreSuite, RetryingObjectKinds);

}  // namespace bale::testing
