#include "contract/embedded_kind.hpp"
#include "contract/message_queue_suite.hpp"

namespace bale::testing {

class EmbeddedQueueKind : public EmbeddedKind, public AsSqs {};

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, MessageQueueSuite, EmbeddedQueueKind);

}  // namespace bale::testing
