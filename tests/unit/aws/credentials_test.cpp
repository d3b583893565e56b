// Every source of credentials, against files and a scripted server; and the provider that keeps them.
#include <gtest/gtest.h>

#include <thread>

#include "aws/credential_provider.hpp"
#include "aws/credential_sources.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::aws {
namespace {

using testing::answer;
using testing::error_of;
using testing::Received;
using testing::ScriptedServer;
using namespace std::chrono_literals;

const std::string secret = "wJalrXUtnFEMI-very-secret";

std::string json(const std::string& id, const char* token_member = "Token") {
  return "{\"Version\": 1, \"Code\": \"Success\", \"AccessKeyId\": \"" + id + "\", \"SecretAccessKey\": \"" + secret +
         "\", \"" + token_member + "\": \"" + id + "-token\", \"Expiration\": \"2025-01-23T15:05:07Z\"}";
}

std::string sts_xml(const std::string& action, const std::string& id) {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>" + id + "</AccessKeyId><SecretAccessKey>" + secret +
         "</SecretAccessKey><SessionToken>" + id +
         "-token</SessionToken><Expiration>2025-01-23T15:05:07Z</Expiration>" + "</Credentials></" + action +
         "Result></" + action + "Response>";
}

class FakeProcesses final : public os::Processes {
 public:
  os::ProcessResult run(const std::vector<std::string>& arguments, Milliseconds, ByteCount, std::stop_token) override {
    ran = arguments;
    return result;
  }
  os::ProcessResult result;
  std::vector<std::string> ran;
};

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialPlaces places() {
    CredentialPlaces made{world.world(), config, client, client, processes, {}, {}};
    made.options.profile = choose_profile(profile_option, world.environment);
    made.container_host = container_host;
    return made;
  }
  std::string find() { return find_credentials(places()).access_key_id; }
  Error failure() {
    const Error error = error_of([&] { find(); });
    EXPECT_EQ((std::string(error.what()) + error.hint() + error.cause()).find("very-secret"), std::string::npos);
    return error;
  }
  void use_files(const char* config_text, const char* credentials_text) {
    config = SharedConfig(parse_config_file(config_text, "config"), parse_config_file(credentials_text, "credentials"));
  }
  std::string& env(const char* name) { return world.environment.variables[name]; }

  CredentialsTest() { env("AWS_EC2_METADATA_DISABLED") = "true"; }

  testing::FakeWorld world;
  SharedConfig config;
  http::Client client{http::Settings{}, os::system_clock()};
  FakeProcesses processes;
  std::string profile_option, container_host = "http://127.0.0.1:1";
};

TEST_F(CredentialsTest, ComeFromTheEnvironment) {
  env("AWS_ACCESS_KEY_ID") = "AKIAENV";
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
  env("AWS_SECRET_ACCESS_KEY") = secret;
  env("AWS_SECURITY_TOKEN") = "legacy";
  EXPECT_EQ(find_credentials(places()), (Credentials{"AKIAENV", secret, "legacy", std::nullopt}));
  env("AWS_SESSION_TOKEN") = "token";
  EXPECT_EQ(find_credentials(places()).session_token, "token");
}

TEST_F(CredentialsTest, OfTheEnvironmentYieldToAnExplicitProfileOnly) {
  use_files("",
            "[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key=s\n"
            "[dev]\naws_access_key_id=AKIADEV\naws_secret_access_key=s\naws_session_token=t\n");
  EXPECT_EQ(find(), "AKIADEFAULT");
  env("AWS_PROFILE") = "dev";
  EXPECT_EQ(find_credentials(places()), (Credentials{"AKIADEV", "s", "t", std::nullopt}));
  env("AWS_ACCESS_KEY_ID") = "AKIAENV";
  env("AWS_SECRET_ACCESS_KEY") = secret;
  EXPECT_EQ(find(), "AKIAENV");
  profile_option = "dev";
  EXPECT_EQ(find(), "AKIADEV");
  profile_option = "missing";
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
}

TEST_F(CredentialsTest, ComeFromAProgram) {
  use_files("[default]\ncredential_process = \"/opt/my tool\" --arg 'a \"b' c\\ d\n", "");
  processes.result = {0, json("AKIAPROCESS", "SessionToken")};
  const Credentials got = find_credentials(places());
  EXPECT_EQ(got, (Credentials{"AKIAPROCESS", secret, "AKIAPROCESS-token", parse_time("2025-01-23T15:05:07Z")}));
  EXPECT_EQ(processes.ran, (std::vector<std::string>{"/opt/my tool", "--arg", "a \"b", "c d"}));
  processes.result.status = 1;
  EXPECT_EQ(failure().kind(), ErrorKind::denied);
  for (const std::string& output : {std::string("{\"SecretAccessKey\": \"very-secret"), "[\"" + secret + "\"]",
                                    "{\"Version\": 2, \"SecretAccessKey\": \"" + secret + "\"}",
                                    "{\"Version\": 1, \"SecretAccessKey\": \"" + secret + "\"}"}) {
    processes.result = {0, output};
    EXPECT_EQ(failure().kind(), ErrorKind::invalid);
  }
  EXPECT_ERROR(ErrorKind::invalid, "", split_command("a 'b"));
}

TEST_F(CredentialsTest, OfAProfileThatNeedsABrowserAreRefusedWithAWayOut) {
  use_files("[profile sso]\nsso_session=s\nsso_role_name=r\n", "");
  profile_option = "sso";
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_NE(error.hint().find("export-credentials --profile sso"), std::string::npos);
}

TEST_F(CredentialsTest, ComeFromARoleThroughProfilesThatNameEachOther) {
  const auto sts = ScriptedServer::answering([](const Received& request) {
    const bool first = request.body.find("role%2Fmiddle") != std::string::npos;
    return answer(200, sts_xml("AssumeRole", first ? "ASIAMIDDLE" : "ASIAFINAL"));
  });
  env("AWS_ENDPOINT_URL_STS") = sts->url();
  env("AWS_REGION") = "eu-west-1";
  use_files(
      "[profile final]\nrole_arn=arn:aws:iam::1:role/final\nsource_profile=middle\nexternal_id=x y\n"
      "duration_seconds=900\nrole_session_name=me\n"
      "[profile middle]\nrole_arn=arn:aws:iam::1:role/middle\nsource_profile=base\n",
      "[base]\naws_access_key_id=AKIABASE\naws_secret_access_key=s\n");
  profile_option = "final";
  const Credentials got = find_credentials(places());
  EXPECT_EQ(got, (Credentials{"ASIAFINAL", secret, "ASIAFINAL-token", parse_time("2025-01-23T15:05:07Z")}));
  const auto requests = sts->requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_NE(requests[0].headers.get("authorization").find("Credential=AKIABASE/20250123/eu-west-1/sts/aws4_request"),
            std::string_view::npos);
  EXPECT_TRUE(
      requests[0].body.starts_with("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole"
                                   "%2Fmiddle&RoleSessionName=bale-"));
  EXPECT_EQ(requests[1].headers.get("x-amz-security-token"), "ASIAMIDDLE-token");
  EXPECT_EQ(requests[1].body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ffinal&RoleSessionName=me&"
            "ExternalId=x%20y&DurationSeconds=900");
}

TEST_F(CredentialsTest, OfARoleAreRefusedWithStssReason) {
  std::string text = answer(403,
                            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
                            "<Message>not allowed</Message></Error></ErrorResponse>");
  const auto sts = ScriptedServer::answering([&](const Received&) { return text; });
  env("AWS_ENDPOINT_URL_STS") = sts->url();
  use_files("[profile r]\nrole_arn=arn:r\nsource_profile=r\n", "[r]\naws_access_key_id=A\naws_secret_access_key=s\n");
  profile_option = "r";
  Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_EQ(error.code(), "AccessDenied");
  EXPECT_NE(error.summary().find("not allowed"), std::string::npos);
  text = answer(503, "<ErrorResponse/>");
  EXPECT_EQ(failure().kind(), ErrorKind::unavailable);
  text = answer(200, "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>");
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
}

TEST_F(CredentialsTest, OfARoleAreNotRefusedByAProxysPage) {
  const auto sts = ScriptedServer::answering([](const Received&) {
    return answer(403, "<html>blocked</html>", {{"Content-Type", "text/html"}});
  });
  env("AWS_ENDPOINT_URL_STS") = sts->url();
  use_files("[profile r]\nrole_arn=arn:r\nsource_profile=r\n", "[r]\naws_access_key_id=A\naws_secret_access_key=s\n");
  profile_option = "r";
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_NE(error.summary().find("not the service's"), std::string::npos) << error.what();
}

TEST_F(CredentialsTest, OfARoleAreAskedForOnceMoreByTheClockOfSts) {
  std::string code = "SignatureDoesNotMatch";
  const auto sts = ScriptedServer::answering([&](const Received& request) {
    if (request.headers.get("x-amz-date") == "20300101T000000Z") return answer(200, sts_xml("AssumeRole", "ASIA"));
    return answer(403, "<ErrorResponse><Error><Code>" + code + "</Code></Error></ErrorResponse>",
                  {{"Date", "Tue, 01 Jan 2030 00:00:00 GMT"}});
  });
  env("AWS_ENDPOINT_URL_STS") = sts->url();
  use_files("[profile r]\nrole_arn=arn:r\nsource_profile=r\n", "[r]\naws_access_key_id=A\naws_secret_access_key=s\n");
  profile_option = "r";
  EXPECT_EQ(find(), "ASIA");
  EXPECT_EQ(sts->requests().size(), 2u);
  code = "AccessDenied";
  EXPECT_EQ(failure().code(), "AccessDenied");
  EXPECT_EQ(sts->requests().size(), 3u);
}

TEST_F(CredentialsTest, OfARoleNeedASourceThatEnds) {
  for (const char* text : {"role_arn=r", "role_arn=r\nsource_profile=missing", "role_arn=r\nsource_profile=b",
                           "role_arn=r\ncredential_source=Nowhere", "role_arn=r\nsource_profile=empty",
                           "role_arn=r\ncredential_source=Environment", "role_arn=r\nsource_profile=b\nmfa_serial=m"}) {
    SCOPED_TRACE(text);
    use_files((std::string("[profile a]\n") + text +
               "\n[profile b]\nrole_arn=q\nsource_profile=a\n[profile empty]\nregion=x\n")
                  .c_str(),
              "");
    profile_option = "a";
    const ErrorKind kind = failure().kind();
    EXPECT_TRUE(kind == ErrorKind::invalid || kind == ErrorKind::denied || kind == ErrorKind::unsupported);
  }
}

TEST_F(CredentialsTest, ComeFromAWebIdentityWhoseTokenIsReadAgain) {
  const auto sts = ScriptedServer::answering(
      [](const Received&) { return answer(200, sts_xml("AssumeRoleWithWebIdentity", "ASIAWEB")); });
  env("AWS_ENDPOINT_URL_STS") = sts->url();
  env("AWS_WEB_IDENTITY_TOKEN_FILE") = world.write("token", "first\n");
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
  env("AWS_ROLE_ARN") = "arn:role";
  env("AWS_ROLE_SESSION_NAME") = "pod";
  EXPECT_EQ(find(), "ASIAWEB");
  world.write("token", "second");
  EXPECT_EQ(find(), "ASIAWEB");
  EXPECT_EQ(sts->requests()[0].body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Arole&RoleSessionName=pod&"
            "WebIdentityToken=first");
  EXPECT_TRUE(sts->requests()[1].body.ends_with("WebIdentityToken=second"));
  EXPECT_EQ(sts->requests()[0].headers.find("authorization"), nullptr);
}

TEST_F(CredentialsTest, ComeFromAContainerByBothUris) {
  int refusals = 2;
  const auto server = ScriptedServer::answering(
      [&](const Received&) { return refusals-- > 0 ? answer(500) : answer(200, json("ASIATASK")); });
  container_host = server->url();
  env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") = "/v2/credentials/x?y=z";
  EXPECT_EQ(find(), "ASIATASK");
  EXPECT_EQ(server->requests().size(), 3u);
  EXPECT_EQ(server->requests().back().target, "/v2/credentials/x?y=z");
  refusals = 3;
  EXPECT_EQ(failure().kind(), ErrorKind::unavailable);
  env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") = "";
  env("AWS_CONTAINER_CREDENTIALS_FULL_URI") = server->url() + "/get";
  env("AWS_CONTAINER_AUTHORIZATION_TOKEN") = "from-env";
  EXPECT_EQ(find(), "ASIATASK");
  EXPECT_EQ(server->requests().back().headers.get("authorization"), "from-env");
  env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") = world.write("token", "from-file\n");
  EXPECT_EQ(find(), "ASIATASK");
  EXPECT_EQ(server->requests().back().headers.get("authorization"), "from-file");
  world.write("token", "a\r\nX: b");
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
  env("AWS_CONTAINER_CREDENTIALS_FULL_URI") = "http://198.51.100.1/get";
  EXPECT_EQ(failure().kind(), ErrorKind::invalid);
}

TEST_F(CredentialsTest, OfAContainerSayWhyThereAreNone) {
  const auto server = ScriptedServer::answering(
      [](const Received&) { return answer(200, "{\"Code\": \"AccessDenied\", \"Message\": \"no role\"}"); });
  env("AWS_CONTAINER_CREDENTIALS_FULL_URI") = server->url();
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_EQ(error.code(), "AccessDenied");
  EXPECT_EQ(error.hint(), "no role");
}

class InstanceTest : public CredentialsTest {
 protected:
  InstanceTest() {
    env("AWS_EC2_METADATA_DISABLED") = "";
    env("AWS_EC2_METADATA_SERVICE_ENDPOINT") = server->url() + "/";
  }
  std::string handle(const Received& request) {
    if (request.method == "PUT") {
      EXPECT_EQ(request.target, "/latest/api/token");
      EXPECT_EQ(request.headers.get("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
      return token_answer;
    }
    if (request.headers.get("x-aws-ec2-metadata-token") != token) return answer(401);
    if (request.target == "/latest/meta-data/iam/security-credentials/") return role_answer;
    if (request.target == "/latest/meta-data/iam/security-credentials/my-role") return answer(200, json("ASIAEC2"));
    return answer(404);
  }
  std::string token = "imds-token", token_answer = answer(200, token), role_answer = answer(200, "my-role");
  std::unique_ptr<ScriptedServer> server =
      ScriptedServer::answering([this](const Received& request) { return handle(request); });
};

TEST_F(InstanceTest, GivesCredentialsByToken) {
  const Credentials got = find_credentials(places());
  EXPECT_EQ(got, (Credentials{"ASIAEC2", secret, "ASIAEC2-token", parse_time("2025-01-23T15:05:07Z")}));
}

TEST_F(InstanceTest, GivesThemWithoutTokenOnlyWhereThatIsAllowed) {
  token = "";
  for (const int status : {403, 404, 405}) {
    token_answer = answer(status);
    EXPECT_EQ(find(), "ASIAEC2");
  }
  env("AWS_EC2_METADATA_V1_DISABLED") = "true";
  EXPECT_EQ(failure().kind(), ErrorKind::denied);
}

TEST_F(InstanceTest, IsNoFailureWhereThereIsNoneOrNoRole) {
  for (const int status : {404, 403}) {
    role_answer = answer(status, "turned off");
    EXPECT_EQ(from_instance(places()), std::nullopt) << status;
  }
  env("AWS_EC2_METADATA_SERVICE_ENDPOINT") = "http://127.0.0.1:1";
  EXPECT_EQ(from_instance(places()), std::nullopt);
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_NE(error.hint().find("AWS_ACCESS_KEY_ID"), std::string::npos);
}

// --- The provider ---------------------------------------------------------------------------------------------------

TEST(CredentialProvider, AsksOnceForKeysThatDoNotExpire) {
  testing::FakeClock clock;
  int asked = 0;
  CredentialProvider provider(
      [&] {
        ++asked;
        return Credentials{"A", "s", "", std::nullopt};
      },
      clock);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(provider.get().access_key_id, "A");
  clock.advance(10'000h);
  provider.get();
  EXPECT_EQ(asked, 1);
  provider.refuse({"other", "s", "", {}});
  provider.get();
  EXPECT_EQ(asked, 1);
  provider.refuse(provider.get());
  provider.get();
  EXPECT_EQ(asked, 2);
}

class ProviderTest : public ::testing::Test {
 protected:
  Credentials ask() {
    ++asked;
    if (failing) throw Error(ErrorKind::unavailable, "no metadata");
    return {std::to_string(asked), "s", "t", clock.now() + 1h};
  }
  testing::FakeClock clock;
  std::atomic<int> asked = 0;
  bool failing = false;
  CredentialProvider provider{[this] { return ask(); }, clock};
};

TEST_F(ProviderTest, RenewsBeforeTheyExpire) {
  EXPECT_EQ(provider.get().access_key_id, "1");
  clock.advance(44min);
  EXPECT_EQ(provider.get().access_key_id, "1");
  clock.advance(1min);
  EXPECT_EQ(provider.get().access_key_id, "2");
}

TEST_F(ProviderTest, LivesWithAFailedRenewalUntilTheyExpire) {
  provider.get();
  failing = true;
  clock.advance(50min);
  EXPECT_EQ(provider.get().access_key_id, "1");
  EXPECT_EQ(provider.get().access_key_id, "1");
  EXPECT_EQ(asked, 2);  // not at every call
  clock.advance(30s);
  EXPECT_EQ(provider.get().access_key_id, "1");
  EXPECT_EQ(asked, 3);
  clock.advance(9min);
  EXPECT_ERROR(ErrorKind::unavailable, "", provider.get());
  failing = false;
  const std::string renewed = provider.get().access_key_id;
  EXPECT_EQ(renewed, std::to_string(asked));
}

TEST(CredentialProviderUnderLoad, AsksWithOneThreadWhileTheOthersGoOn) {
  testing::FakeClock clock;
  std::atomic<int> asked = 0, inside = 0;
  std::atomic<bool> together = false;
  CredentialProvider provider(
      [&] {
        if (++inside > 1) together = true;
        const int now = ++asked;
        std::this_thread::sleep_for(now == 1 ? 20ms : 100ms);
        --inside;
        return Credentials{std::to_string(now), "s", "t", clock.now() + 1h};
      },
      clock);
  const auto run = [&](std::atomic<int>& old) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] { old += provider.get().access_key_id == "1" ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
  };
  std::atomic<int> first = 0, second = 0;
  run(first);
  EXPECT_EQ(first, 16);  // all waited for the one that asked
  EXPECT_EQ(asked, 1);
  clock.advance(50min);
  run(second);
  EXPECT_EQ(second, 15);  // one asked, and the others did not wait for it
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(together);
}

}  // namespace
}  // namespace bale::aws
