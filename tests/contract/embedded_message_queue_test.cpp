#include "contract/embedded_kind.hpp"
#include "contract/message_queue_suite.hpp"

namespace bale::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, MessageQueueSuite, EmbeddedKind);

}  // namespace bale::testing
