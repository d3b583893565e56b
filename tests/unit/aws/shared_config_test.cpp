#include "aws/shared_config.hpp"

#include <gtest/gtest.h>

#include <filesystem>

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

// tests/e2e/test_aws_config.py holds these readings, and more, against botocore.
TEST(ConfigFile, TakesIndentedSettingsForSettings) {
  const ConfigSection expected{{"region", "r"}, {"endpoint_url", "http://h:1"}, {"output", "json"}};
  for (const char* text : {
           "[default]\n  region = r\n  endpoint_url = http://h:1\n  output = json\n",
           "[default]\n    region = r\n  endpoint_url = http://h:1\noutput = json\n",
           "[default]\n\tregion = r\n\n\tendpoint_url = http://h:1\n# comment\n\toutput = json\n",
           "  [default]\n  region = r\n  endpoint_url = http://h:1\n  output = json\n",
           "[default]\n\xc2\xa0region\xc2\xa0=\xc2\xa0r\n\xc2\xa0\x65ndpoint_url = http://h:1\noutput = json\xc2\xa0\n",
           "[default]\nregion : r\nendpoint_url: http://h:1\noutput:json\n",
           "\xef\xbb\xbf[default]\r\nregion = r\r\n  \r\nendpoint_url = http://h:1\r\noutput = json",
           "[default]\rregion = r\rendpoint_url = http://h:1\routput = json\r",
           "[default]\nregion = r\r\r\nendpoint_url = http://h:1\r\r\noutput = json",
           "[DEFAULT]\noutput = json\nregion = x\n[default]\nregion = r\nendpoint_url = http://h:1\n",
       }) {
    EXPECT_EQ(parse_config_file(text, "config").at("default"), expected) << text;
  }
}

TEST(ConfigFile, NestsBelowEmptyValuesOnly) {
  const ConfigFile file = parse_config_file(
      "[services x]\n  s3 =\n    endpoint_url = http://s3:1\n\n# comment\n      other = a:b\n  sqs:\n"
      "    ENDPOINT_URL=http://sqs:2\n  region = r\n[default]\n  s3 = x\n    addressing_style = path\n",
      "config");
  EXPECT_EQ(file.at("services x"), (ConfigSection{{"s3", ""},
                                                  {"s3.endpoint_url", "http://s3:1"},
                                                  {"s3.other", "a:b"},
                                                  {"sqs", ""},
                                                  {"sqs.endpoint_url", "http://sqs:2"},
                                                  {"region", "r"}}));
  EXPECT_EQ(file.at("default"), (ConfigSection{{"s3", "x\naddressing_style = path"}}));
}

TEST(SharedConfig, SaysWhichSettingHasLinesThatWereMeantToBeSettings) {
  const ConfigFile file = parse_config_file(
      "[profile dev]\nregion = r\n  aws_secret_access_key = my-secret-key\ncredential_process = p\n  --flag\n"
      "[services x]\ns3.endpoint_url = u\n v\n",
      "config");
  const SharedConfig config(file, {});
  const Error error = testing::error_of([&] { config.get("dev", "region"); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_EQ(error.where(), "region of profile dev");
  EXPECT_EQ((error.what() + error.hint()).find("my-secret-key"), std::string::npos);
  EXPECT_EQ(config.get_lines("dev", "credential_process"), "p\n--flag");
  EXPECT_ERROR(ErrorKind::invalid, "", config.get_service("x", "s3.endpoint_url"));
}

TEST(ConfigFile, NamesTheLineButDoesNotShowIt) {
  for (const char* text : {"[default]\nregion = a\nmy-secret-key\n", "[default]\n\n[my-secret-key\n",
                           "[default]\r\ns3 =\r\n  my-secret-key\r\n", "\xef\xbb\xbf\n[default]\n= my-secret-key\n"}) {
    const Error error = testing::error_of([&] { parse_config_file(text, "file"); });
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    EXPECT_EQ(error.where(), "file:3");
    EXPECT_EQ((error.what() + error.hint()).find("my-secret-key"), std::string::npos);
  }
  EXPECT_ERROR(ErrorKind::invalid, "", parse_config_file("region = a\n", "file"));
  EXPECT_ERROR(ErrorKind::invalid, "", parse_config_file("\xff\xfe[\0d\0", "file"));
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
  for (const char* path : {"$HOME/other", "${HOME}/other", "${HOME}/$NOT_SET/../other", "~/${NOT_SET}/../other"}) {
    std::filesystem::create_directories(world.path("home") / "$NOT_SET");
    std::filesystem::create_directories(world.path("home") / "${NOT_SET}");
    world.environment.variables["AWS_CONFIG_FILE"] = path;
    EXPECT_EQ(SharedConfig::load(*world.files, world.environment).get("default", "region"), "other") << path;
  }
  world.environment.variables["AWS_CONFIG_FILE"] = "${HOME";
  EXPECT_EQ(SharedConfig::load(*world.files, world.environment).get("default", "region"), std::nullopt);
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
