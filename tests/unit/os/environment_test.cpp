#include "os/environment.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

TEST(Environment, GivesVariablesOfOneLine) {
  testing::FakeEnvironment environment;
  environment.variables = {{"EMPTY", ""}, {"VALUE", "a value"}};
  EXPECT_EQ(get_line(environment, "EMPTY"), std::nullopt);
  EXPECT_EQ(get_line(environment, "ABSENT"), std::nullopt);
  EXPECT_EQ(get_line(environment, "VALUE"), "a value");
}

TEST(Environment, NamesAVariableWithALineEndButDoesNotShowIt) {
  testing::FakeEnvironment environment;
  for (const char* value : {"secret\r", "secret\n", "sec\rret", "\r\n"}) {
    environment.variables = {{"AWS_SECRET_ACCESS_KEY", value}};
    const Error error = testing::error_of([&] { get_line(environment, "AWS_SECRET_ACCESS_KEY"); });
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    EXPECT_EQ(error.where(), "AWS_SECRET_ACCESS_KEY");
    EXPECT_EQ(std::string(error.what()).find("sec"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace bale::os
