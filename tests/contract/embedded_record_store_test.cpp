#include "contract/embedded_kind.hpp"
#include "contract/lease_suite.hpp"
#include "contract/record_store_suite.hpp"

namespace bale::testing {

class EmbeddedRecordKind : public EmbeddedKind, public AsDynamoDb {};

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, RecordStoreSuite, EmbeddedRecordKind);
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, LeaseSuite, EmbeddedRecordKind);

}  // namespace bale::testing
