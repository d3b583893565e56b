#include "contract/record_store_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, RecordStoreSuite, RetryingKinds);

}  // namespace bale::testing
