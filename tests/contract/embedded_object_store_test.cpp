#include "contract/embedded_kind.hpp"
#include "contract/object_store_suite.hpp"

namespace bale::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, ObjectStoreSuite, EmbeddedKind);

}  // namespace bale::testing
