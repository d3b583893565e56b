#include "contract/record_store_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

template <int FaultEvery>
class RetryingRecordKind : public RetryingKind<FaultEvery>, public AsDynamoDb {};

using RetryingRecordKinds = ::testing::Types<RetryingRecordKind<0>, RetryingRecordKind<3>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, RecordStoreSuite, RetryingRecordKinds);

}  // namespace bale::testing
