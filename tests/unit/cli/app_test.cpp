// The program as a whole: options, errors, exit statuses.
#include "cli/app.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "cli/context.hpp"
#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class AppTest : public ::testing::Test {
 protected:
  int bale(std::vector<std::string> arguments) {
    world.terminal.take_output();
    world.terminal.take_errors();
    return run(arguments, world.world());
  }
  /// With the embedded store of this test.
  int local(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--local", world.path("store")});
    return bale(std::move(arguments));
  }
  testing::FakeWorld world;
};

TEST_F(AppTest, VersionAndHelpGoToStdout) {
  EXPECT_EQ(bale({"--version"}), exit_ok);
  EXPECT_THAT(world.terminal.output(), StartsWith("bale "));
  EXPECT_EQ(bale({"version"}), exit_ok);
  EXPECT_THAT(world.terminal.output(), StartsWith("bale "));
  EXPECT_EQ(bale({"--help"}), exit_ok);
  EXPECT_THAT(world.terminal.output(), HasSubstr("--memory-limit"));
  EXPECT_EQ(bale({"s3", "cp", "--help"}), exit_ok);
  EXPECT_THAT(world.terminal.output(), HasSubstr("--storage-class"));
  EXPECT_EQ(world.terminal.errors(), "");
}

TEST_F(AppTest, UsageErrorsSayWhereHelpIs) {
  EXPECT_EQ(bale({}), exit_usage);
  EXPECT_EQ(bale({"nonsense"}), exit_usage);
  EXPECT_EQ(bale({"s3", "cp", "--nonsense", "a", "b"}), exit_usage);
  EXPECT_THAT(world.terminal.errors(), StartsWith("bale: "));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("hint: see bale s3 cp --help"));
  EXPECT_EQ(world.terminal.output(), "");
}

TEST_F(AppTest, ACommandThatIsNearlyOneIsNamed) {
  using Arguments = std::vector<std::string>;
  for (const auto& [arguments, meant] :
       std::vector<std::pair<Arguments, std::string>>{{{"restor", "a"}, "bale restore"},
                                                      {{"catalgo", "search", "x"}, "bale catalog"},
                                                      {{"catalog", "serach", "x"}, "bale catalog search"},
                                                      {{"archive", "extarct", "x"}, "bale archive extract"},
                                                      {{"--quiet", "dcotor"}, "bale doctor"},
                                                      {{"s3", "cp", "--recursiv", "a", "b"}, "--recursive"},
                                                      {{"s3", "ls", "--human-redable"}, "--human-readable"},
                                                      {{"version", "--memory-limt=1GiB"}, "--memory-limit"}}) {
    EXPECT_EQ(bale(arguments), exit_usage) << meant;
    EXPECT_THAT(world.terminal.errors(), HasSubstr("hint: did you mean `" + meant + "`?"));
  }
  EXPECT_EQ(bale({"frobnicate"}), exit_usage);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("hint: see bale --help"));
}

TEST_F(AppTest, APresignedUrlThatEndsWithItsCredentialsIsToldOf) {
  world.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"}, {"AWS_SECRET_ACCESS_KEY", "secret"}};
  const auto presign = [&](const char* seconds) {
    return bale({"--endpoint-url", "http://127.0.0.1:1", "s3", "presign", "s3://bucket/key", "--expires-in", seconds});
  };
  EXPECT_EQ(presign("604800"), exit_ok);
  EXPECT_EQ(world.terminal.errors(), "") << "keys that do not end";
  world.environment.variables["AWS_SESSION_TOKEN"] = "token";
  EXPECT_EQ(presign("7200"), exit_ok);
  EXPECT_EQ(world.terminal.errors(), "");
  EXPECT_EQ(presign("604800"), exit_ok);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("2025-01-24T21:05:07.000Z")) << "no session lasts for longer";
  world.environment.variables["AWS_CREDENTIAL_EXPIRATION"] = "2025-01-23T10:05:07+00:00";
  EXPECT_EQ(presign("3600"), exit_ok);
  EXPECT_EQ(world.terminal.errors(), "");
  EXPECT_EQ(presign("7200"), exit_ok);
  EXPECT_THAT(world.terminal.errors(), AllOf(StartsWith("warning: "), HasSubstr("2025-01-23T10:05:07.000Z")));
  EXPECT_THAT(world.terminal.output(), StartsWith("http://127.0.0.1:1/bucket/key?"));
}

TEST_F(AppTest, GlobalOptionsStandAnywhere) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--output", "json", "version"}, {"version", "--output", "json"}, {"version", "--output=json"}}) {
    EXPECT_EQ(bale(arguments), exit_ok);
    EXPECT_EQ(nlohmann::json::parse(world.terminal.output())["type"], "version");
  }
  EXPECT_EQ(local({"s3", "mb", "s3://bucket"}), exit_ok);
  EXPECT_EQ(bale({"s3", "ls", "--local", world.path("store"), "--region", "eu-central-1"}), exit_ok);
  EXPECT_EQ(world.terminal.errors(), "");
}

TEST_F(AppTest, ErrorsAreJsonWhenResultsAre) {
  EXPECT_EQ(local({"s3", "mb", "s3://bucket"}), exit_ok);
  EXPECT_EQ(local({"--output", "json", "s3", "ls", "s3://nowhere"}), exit_not_found);
  const auto line = nlohmann::json::parse(world.terminal.errors());
  EXPECT_EQ(line["type"], "error");
  EXPECT_EQ(line["kind"], "not_found");
  EXPECT_EQ(line["code"], "NoSuchBucket");
  EXPECT_EQ(bale({"--output", "json", "nonsense"}), exit_usage);
  EXPECT_EQ(nlohmann::json::parse(world.terminal.errors())["kind"], "invalid");
}

TEST_F(AppTest, WithoutAStoreItSaysHowToNameOne) {
  world.environment.variables["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_EQ(bale({"s3", "ls"}), exit_refused);
  EXPECT_THAT(world.terminal.errors(), AllOf(HasSubstr("no credentials found"), HasSubstr("--local DIR")));
  world.environment.variables["BALE_LOCAL"] = world.path("store");
  EXPECT_EQ(bale({"s3", "mb", "s3://bucket"}), exit_ok);
  EXPECT_EQ(bale({"s3", "ls"}), exit_ok);
}

TEST_F(AppTest, BadValuesOfGlobalOptionsAreNamed) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> bad = {
      {{"--memory-limit", "lots"}, "--memory-limit"},
      {{"--memory-limit", "1KiB"}, "--memory-limit"},
      {{"--connections", "0"}, "--connections"},
      {{"--connections", "5000"}, "--connections"},
      {{"--region", "../up"}, "'../up'"},
      {{"--log-level", "loud"}, "'loud'"},
      {{"--log-format", "xml"}, "--log-format"},
      {{"--output", "xml"}, "--output"}};
  for (auto [arguments, named] : bad) {
    arguments.push_back("version");
    EXPECT_EQ(bale(arguments), exit_usage) << arguments[1];
    EXPECT_THAT(world.terminal.errors(), HasSubstr(named));
  }
}

TEST_F(AppTest, AReaderThatIsGoneIsNoNews) {
  world.terminal.before_out = [] {
    throw Error(ErrorKind::unavailable, "cannot write to standard output").with_code("EPIPE");
  };
  EXPECT_EQ(bale({"version"}), exit_broken_pipe);
  EXPECT_EQ(world.terminal.errors(), "");
}

TEST_F(AppTest, OutputThatCannotBeWrittenIsAFailure) {
  world.terminal.before_out = [] { throw Error(ErrorKind::unavailable, "cannot write to standard output"); };
  EXPECT_EQ(bale({"version"}), exit_refused);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("cannot write to standard output"));
}

TEST(ExitStatus, FollowsTheKind) {
  EXPECT_EQ(exit_status(ErrorKind::not_found), 3);
  EXPECT_EQ(exit_status(ErrorKind::denied), 4);
  EXPECT_EQ(exit_status(ErrorKind::precondition), 4);
  EXPECT_EQ(exit_status(ErrorKind::throttled), 4);
  EXPECT_EQ(exit_status(ErrorKind::unavailable), 4);
  EXPECT_EQ(exit_status(ErrorKind::timeout), 4);
  EXPECT_EQ(exit_status(ErrorKind::corrupt), 5);
  EXPECT_EQ(exit_status(ErrorKind::invalid), 2);
  EXPECT_EQ(exit_status(ErrorKind::unsupported), 2);
  EXPECT_EQ(exit_status(ErrorKind::cancelled), 130);
  EXPECT_EQ(exit_status(ErrorKind::internal), 1);
}

TEST(Resolve, TakesOptionsBeforeTheEnvironmentBeforeDefaults) {
  testing::FakeEnvironment environment;
  EXPECT_EQ(resolve({}, environment).region, "");
  EXPECT_EQ(resolve({}, environment).connections, 64u);
  environment.variables = {{"AWS_DEFAULT_REGION", "eu-west-1"}, {"AWS_PROFILE", "work"}, {"BALE_LOCAL", "/data"}};
  EXPECT_EQ(resolve({}, environment).region, "eu-west-1");
  EXPECT_EQ(resolve({}, environment).profile, "") << "what is chosen there counts less than keys there";
  EXPECT_EQ(resolve({}, environment).local, "/data");
  EXPECT_EQ(resolve({}, environment).connections, 32u) << "threads that share a disk are many enough sooner";
  environment.variables["AWS_REGION"] = "eu-central-1";
  EXPECT_EQ(resolve({}, environment).region, "eu-central-1");
  environment.variables["AWS_REGION"] = "";
  EXPECT_EQ(resolve({}, environment).region, "eu-west-1") << "empty is not set";
  GlobalOptions given;
  given.region = "ap-southeast-2";
  given.local = "/other";
  EXPECT_EQ(resolve(given, environment).region, "ap-southeast-2");
  EXPECT_EQ(resolve(given, environment).local, "/other");
}

TEST(Resolve, FitsConnectionsToTheFileDescriptors) {
  testing::FakeEnvironment environment;
  GlobalOptions cloud, local;
  cloud.connections = local.connections = 1000;
  local.local = "/data";
  for (const std::size_t limit : {0UL, 16UL, 64UL, 128UL, 256UL, 1024UL, 4096UL, 65536UL}) {
    const GlobalOptions a = resolve(cloud, environment, limit), b = resolve(local, environment, limit);
    EXPECT_GE(a.connections, 1U);
    EXPECT_GE(b.connections, 1U);
    EXPECT_EQ(a.wanted_connections, 1000U);
    if (limit < 128) continue;  // as few as there can be
    EXPECT_LE(3 * (a.connections + a.idle_connections) + a.listen_connections + 56, limit);
    EXPECT_LE(4 * b.connections + b.listen_connections + 56, limit);
  }
  EXPECT_EQ(resolve(cloud, environment, 65536).connections, 1000U);
  EXPECT_EQ(resolve({}, environment, 1024).connections, 64U) << "the defaults fit into the usual limit";
}

TEST(ContextTest, KnowsItsRegion) {
  testing::FakeWorld world;
  const auto region = [&](const GlobalOptions& options) {
    return Context(world.world(), resolve(options, world.environment)).region().str();
  };
  GlobalOptions local;
  local.local = world.path("store");
  world.environment.variables = {{"AWS_CONFIG_FILE", world.write("config",
                                                                 "[default]\nregion = eu-north-1\n"
                                                                 "[profile work]\nregion = eu-south-1\n")}};
  EXPECT_EQ(region({}), "eu-north-1");
  EXPECT_EQ(region(local), "us-east-1") << "profiles are for services";
  world.environment.variables["AWS_PROFILE"] = "work";
  EXPECT_EQ(region({}), "eu-south-1");
  GlobalOptions chosen;
  chosen.profile = "default";
  EXPECT_EQ(region(chosen), "eu-north-1");
  world.environment.variables["AWS_DEFAULT_REGION"] = "eu-west-3";
  EXPECT_EQ(region({}), "eu-west-3");
  EXPECT_EQ(region(local), "eu-west-3");
  chosen.region = "eu-west-1";
  EXPECT_EQ(region(chosen), "eu-west-1");
  world.environment.variables.clear();
  EXPECT_EQ(region({}), "us-east-1");
}

TEST(ContextTest, ReachesAServicesPortsPerRegion) {
  testing::FakeWorld world;
  Context context(world.world(), resolve({}, world.environment));
  EXPECT_EQ(&context.store(Region("eu-west-1")), &context.store(Region("eu-west-1")));
  EXPECT_NE(&context.store(Region("eu-west-1")), &context.store(Region("us-east-1")));
  EXPECT_EQ(&context.queues(Region("eu-west-1")), &context.queues(Region("eu-west-1")));
  EXPECT_NE(&context.records(Region("eu-west-1")), &context.records(Region("us-east-1")));
  EXPECT_NE(&context.bucket_settings(Region("eu-west-1")), &context.bucket_settings(Region("us-east-1")));
  EXPECT_EQ(testing::error_of([&] { context.store(Region("../x")); }).kind(), ErrorKind::invalid);
}

TEST(ContextTest, MakesOnePortPerRegionOnce) {
  testing::FakeWorld world;
  GlobalOptions options;
  options.local = world.path("store");
  Context context(world.world(), resolve(options, world.environment));
  EXPECT_THROW(context.store(Region("eu-west-1")), Error);
  EXPECT_FALSE(context.store_exists());
  context.allow_new_store();
  EXPECT_FALSE(std::filesystem::exists(world.path("store"))) << "nothing is opened before it is needed";
  EXPECT_EQ(&context.store(Region("eu-west-1")), &context.store(Region("eu-west-1")));
  EXPECT_NE(&context.store(Region("eu-west-1")), &context.store(Region("us-east-1")));
  EXPECT_EQ(&context.queues(Region("eu-west-1")), &context.queues(Region("eu-west-1")));
  EXPECT_EQ(&context.records(Region("eu-west-1")), &context.records(Region("eu-west-1")));
  EXPECT_EQ(&context.bucket_settings(Region("eu-west-1")), &context.bucket_settings(Region("eu-west-1")));
  EXPECT_THROW(context.store(Region("../x")), Error);
  EXPECT_GE(context.budget().limit(), 192u << 20);
  EXPECT_EQ(context.pools().connections.size(), 32u);
}

TEST(ContextTest, TheMemoryLimitIsTheBudget) {
  testing::FakeWorld world;
  GlobalOptions options;
  options.memory_limit = 100 << 20;
  EXPECT_EQ(Context(world.world(), resolve(options, world.environment)).budget().limit(), 50u << 20)
      << "the program itself needs some";
}

}  // namespace
}  // namespace bale::cli
