#include "contract/message_queue_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

template <int FaultEvery>
class RetryingQueueKind : public RetryingKind<FaultEvery>, public AsSqs {};

using RetryingQueueKinds = ::testing::Types<RetryingQueueKind<0>, RetryingQueueKind<3>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, MessageQueueSuite, RetryingQueueKinds);

}  // namespace bale::testing
