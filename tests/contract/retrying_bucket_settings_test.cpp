#include "contract/bucket_settings_suite.hpp"
#include "contract/retrying_kind.hpp"

namespace bale::testing {

template <int FaultEvery>
class RetryingSettingsKind : public RetryingKind<FaultEvery>, public AsS3Settings {};

using RetryingSettingsKinds = ::testing::Types<RetryingSettingsKind<0>, RetryingSettingsKind<3>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Retrying, BucketSettingsSuite, RetryingSettingsKinds);

}  // namespace bale::testing
