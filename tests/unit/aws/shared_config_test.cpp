#include "aws/shared_config.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::aws {
namespace {

TEST(ConfigFile, IsReadAsAwsReadsIt) {
  const ConfigFile file = parse_config_file(
      "# comment\r\n; another\n\n[default]\r\nRegion = eu-west-1 \r\naws_secret_access_key=a=b#c;d\n"
      "[ profile \t two words ]\ns3 =\n  addressing_style = path\n  # nested comment\n  use_dualstack_endpoint = true\n"
      "output = json\n[profile \"quoted name\"]\nregion=\n[default]\noutput = text\n",
      "config");
  EXPECT_EQ(file.at("default"),
            (ConfigSection{{"region", "eu-west-1"}, {"aws_secret_access_key", "a=b#c;d"}, {"output", "text"}}));
  EXPECT_EQ(file.at("profile two words").at("s3.addressing_style"), "path");
  EXPECT_EQ(file.at("profile two words").at("s3.use_dualstack_endpoint"), "true");
  EXPECT_EQ(file.at("profile two words").at("output"), "json");
  EXPECT_TRUE(file.contains("profile quoted name"));
}

TEST(ConfigFile, NamesTheLineButDoesNotShowIt) {
  for (const char* text : {"[default]\nregion = a\nmy-secret-key\n", "[default]\n\n[my-secret-key\n"}) {
    const Error error = testing::error_of([&] { parse_config_file(text, "file"); });
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    EXPECT_EQ(error.where(), "file:3");
    EXPECT_EQ((error.what() + error.hint()).find("my-secret-key"), std::string::npos);
  }
  EXPECT_ERROR(ErrorKind::invalid, "", parse_config_file("region = a\n", "file"));
}

TEST(SharedConfig, JoinsBothFilesAndTheCredentialsFileWins) {
  testing::FakeWorld world;
  world.write("home/.aws/config",
              "[default]\nregion=a\n[profile dev]\nregion = b\naws_access_key_id = config\n[stray]\nx=y\n");
  world.write("home/.aws/credentials", "[dev]\naws_access_key_id = credentials\n[only]\naws_access_key_id=z\n");
  world.environment.variables["HOME"] = world.path("home");
  const SharedConfig config = SharedConfig::load(*world.files, world.environment);
  EXPECT_EQ(config.get("default", "region"), "a");
  EXPECT_EQ(config.get("dev", "region"), "b");
  EXPECT_EQ(config.get("dev", "aws_access_key_id"), "credentials");
  EXPECT_TRUE(config.has_profile("only"));
  EXPECT_FALSE(config.has_profile("stray"));
  EXPECT_EQ(config.get("dev", "output"), std::nullopt);
  world.environment.variables["AWS_CONFIG_FILE"] = "~/other";
  world.environment.variables["AWS_SHARED_CREDENTIALS_FILE"] = world.write("creds", "[dev]\naws_access_key_id=mine\n");
  world.write("home/other", "[default]\nregion=other\n");
  const SharedConfig other = SharedConfig::load(*world.files, world.environment);
  EXPECT_EQ(other.get("default", "region"), "other");
  EXPECT_EQ(other.get("dev", "aws_access_key_id"), "mine");
  world.environment.variables = {};
  EXPECT_FALSE(SharedConfig::load(*world.files, world.environment).has_profile("default"));
}

TEST(ProfileChoice, IsExplicitOnlyWhenTheCommandLineMakesIt) {
  testing::FakeEnvironment environment;
  EXPECT_EQ(choose_profile("", environment).name, "default");
  environment.variables = {{"AWS_PROFILE", ""}, {"AWS_DEFAULT_PROFILE", "old"}};
  EXPECT_EQ(choose_profile("", environment).name, "old");
  environment.variables["AWS_PROFILE"] = "env";
  EXPECT_EQ(choose_profile("", environment).name, "env");
  EXPECT_FALSE(choose_profile("", environment).is_explicit);
  EXPECT_EQ(choose_profile("cli", environment).name, "cli");
  EXPECT_TRUE(choose_profile("cli", environment).is_explicit);
}

}  // namespace
}  // namespace bale::aws
