#include "contract/embedded_kind.hpp"
#include "contract/object_store_suite.hpp"

namespace bale::testing {

class EmbeddedObjectKind : public EmbeddedKind, public AsS3 {};

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, ObjectStoreSuite, EmbeddedObjectKind);

}  // namespace bale::testing
