#include "contract/embedded_kind.hpp"
#include "contract/record_store_suite.hpp"

namespace bale::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, RecordStoreSuite, EmbeddedKind);

}  // namespace bale::testing
