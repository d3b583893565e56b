#include "aws/retry_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::aws {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

class RetryChoice : public ::testing::Test {
 protected:
  std::optional<std::uint32_t> attempts() { return resolve_max_attempts(environment_, config_, "p"); }
  std::map<std::string, std::string>& variables() { return environment_.variables; }
  void profile(const std::string& settings) {
    config_ = SharedConfig(parse_config_file("[profile p]\n" + settings, "config"), {});
  }

  testing::FakeEnvironment environment_;
  SharedConfig config_;
};

TEST_F(RetryChoice, IsTheEnvironmentsBeforeTheProfiles) {
  EXPECT_EQ(attempts(), std::nullopt);
  profile("max_attempts = 5\nretry_mode = adaptive\n");
  EXPECT_EQ(attempts(), 5u);
  variables()["AWS_MAX_ATTEMPTS"] = "1";
  EXPECT_EQ(attempts(), 1u);
  variables()["AWS_MAX_ATTEMPTS"] = "";
  EXPECT_EQ(attempts(), 5u) << "an empty variable is none";
}

TEST_F(RetryChoice, SaysWhereANumberStandsThatIsNone) {
  for (const char* bad : {"0", "-1", "3x", "1001", "99999999999", "three", " 3"}) {
    variables()["AWS_MAX_ATTEMPTS"] = bad;
    const Error error = error_of([&] { attempts(); });
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    EXPECT_THAT(error.what(), HasSubstr("AWS_MAX_ATTEMPTS"));
    EXPECT_THAT(error.what(), HasSubstr(bad));
  }
  variables().clear();
  profile("max_attempts = many\n");
  EXPECT_THAT(error_of([&] { attempts(); }).what(), HasSubstr("max_attempts of profile p"));
}

TEST_F(RetryChoice, KnowsTheModesOfTheSdks) {
  for (const char* mode : {"legacy", "standard", "adaptive", "Standard"}) {
    variables()["AWS_RETRY_MODE"] = mode;
    EXPECT_EQ(attempts(), std::nullopt);
  }
  variables()["AWS_RETRY_MODE"] = "eager";
  const Error error = error_of([&] { attempts(); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), HasSubstr("'eager' is no retry mode (AWS_RETRY_MODE)"));
  EXPECT_THAT(error.hint(), HasSubstr("standard"));
}

}  // namespace
}  // namespace bale::aws
