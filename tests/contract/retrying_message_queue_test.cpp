#include "contract/message_queue_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, MessageQueueSuite, RetryingKinds);

}  // namespace bale::testing
