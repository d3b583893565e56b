#include "contract/bucket_settings_suite.hpp"
#include "contract/embedded_kind.hpp"

namespace bale::testing {

class EmbeddedSettingsKind : public EmbeddedKind, public AsS3Settings {};

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, BucketSettingsSuite, EmbeddedSettingsKind);

}  // namespace bale::testing
