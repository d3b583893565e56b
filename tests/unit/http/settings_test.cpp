// Proxies, authorities and TLS, as the environment asks for them.
#include "http/settings.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "http/client.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::http {
namespace {

using testing::answer;
using testing::error_of;
using testing::Peer;
using testing::Received;
using testing::ScriptedServer;
using testing::TestCertificate;

Settings settings_of(std::map<std::string, std::string> variables) {
  testing::FakeEnvironment environment;
  environment.variables = std::move(variables);
  return settings_from(environment);
}

std::string get(const Settings& settings, const Origin& origin) {
  Client client(settings, os::system_clock());
  return http::fetch(client, {Method::get, origin, "/path"}, nullptr, {}, {}, 1000).body;
}

TEST(Settings, ComeFromTheEnvironmentInOrder) {
  const Settings none = settings_of({{"AWS_CA_BUNDLE", ""}});
  EXPECT_EQ(none.ca_bundle + none.ca_directory + none.http_proxy + none.https_proxy + none.no_proxy, "");
  std::map<std::string, std::string> variables{{"SSL_CERT_FILE", "c"}, {"SSL_CERT_DIR", "d"}, {"HTTPS_PROXY", "upper"}};
  EXPECT_EQ(settings_of(variables).ca_bundle, "c");
  EXPECT_EQ(settings_of(variables).ca_directory, "d");
  EXPECT_EQ(settings_of(variables).https_proxy, "upper");
  variables["CURL_CA_BUNDLE"] = "b";
  EXPECT_EQ(settings_of(variables).ca_bundle, "b");
  variables["AWS_CA_BUNDLE"] = "a";
  variables["https_proxy"] = "lower";
  EXPECT_EQ(settings_of(variables).ca_bundle, "a");
  EXPECT_EQ(settings_of(variables).https_proxy, "lower");
}

TEST(Settings, SendPlainRequestsToTheProxyButForExceptions) {
  const auto proxy = ScriptedServer::answering([](const Received&) { return answer(200, "by proxy"); });
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200, "direct"); });
  EXPECT_EQ(get(settings_of({{"HTTP_PROXY", proxy->url()}}), {"http", "far.invalid", 8080}), "by proxy");
  EXPECT_EQ(proxy->requests().at(0).target, "http://far.invalid:8080/path");
  EXPECT_EQ(proxy->requests().at(0).headers.get("host"), "far.invalid:8080");
  EXPECT_EQ(get(settings_of({{"HTTP_PROXY", proxy->url()}, {"NO_PROXY", "x,127.0.0.1"}}), server->origin()), "direct");
  EXPECT_EQ(get(settings_of({{"HTTPS_PROXY", proxy->url()}}), server->origin()), "direct");
}

TEST(NoProxy, HoldsForThePortThatItNames) {
  const Origin http{"http", "h"}, https{"https", "h"}, other{"http", "h", 8080};
  const std::string list = "a:80, b:443 c:8080\td,,.e:8080,10.0.0.0/8:80,[::1]:8080,[fd00::1],fe80::1,*:80,f:,g:x";
  EXPECT_EQ(no_proxy_for(http, list), "a,d,10.0.0.0/8,fd00::1,fe80::1,*,f");
  EXPECT_EQ(no_proxy_for(https, list), "b,d,fd00::1,fe80::1,f");
  EXPECT_EQ(no_proxy_for(other, list), "c,d,.e,::1,fd00::1,fe80::1,f");
  EXPECT_EQ(no_proxy_for(http, "*"), "*");
  EXPECT_EQ(no_proxy_for(http, "*:80"), "*");
  EXPECT_EQ(no_proxy_for(http, ":80,[,[]:80,:"), "[");
  EXPECT_EQ(no_proxy_for(http, ""), "");
}

// Whatever is not reached directly is reached through the proxy, which answers for every host.
TEST(NoProxy, IsReadAsCurlReadsItAndWithPorts) {
  const auto proxy = ScriptedServer::answering([](const Received&) { return answer(200, "by proxy"); });
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200, "direct"); });
  const std::string port = std::to_string(server->origin().port);
  const auto way = [&](const std::string& no_proxy, const Origin& origin) {
    try {
      return get(settings_of({{"http_proxy", proxy->url()}, {"no_proxy", no_proxy}}), origin);
    } catch (const Error& error) {
      return std::string(is_transient(error.kind()) ? "direct" : error.what());  // a host that nobody has
    }
  };
  for (const std::string& entry : {"127.0.0.1:" + port, "x:1, 127.0.0.1:" + port + ",y", "127.0.0.0/8:" + port,
                                   std::string("127.0.0.1"), "*:" + port, std::string("*")})
    EXPECT_EQ(way(entry, server->origin()), "direct") << entry;
  for (const std::string& entry :
       {std::string("127.0.0.1:1"), "127.0.0.2:" + port, std::string("*:1"), ":" + port, "27.0.0.1:" + port})
    EXPECT_EQ(way(entry, server->origin()), "by proxy") << entry;
  for (const char* entry : {"far.invalid:8080", ".invalid:8080", "invalid:8080", "FAR.invalid.:8080", "far.invalid"})
    EXPECT_EQ(way(entry, {"http", "far.invalid", 8080}), "direct") << entry;
  for (const char* entry : {"far.invalid:80", "ar.invalid:8080", "far.invalid:80800", "far.invalid:x"})
    EXPECT_EQ(way(entry, {"http", "far.invalid", 8080}), "by proxy") << entry;
  EXPECT_EQ(way("far.invalid:80", {"http", "far.invalid"}), "direct");
  for (const char* entry : {"[::1]:9", "::1", "[::1]"}) EXPECT_EQ(way(entry, {"http", "[::1]", 9}), "direct") << entry;
  for (const char* entry : {"[::1]:8", "::2", "[::2]:9"})
    EXPECT_EQ(way(entry, {"http", "[::1]", 9}), "by proxy") << entry;
}

TEST(Settings, TunnelTlsThroughTheProxy) {
  const TestCertificate certificate("DNS:far.invalid");
  testing::FakeWorld world;
  const std::string bundle = world.write("ca.pem", certificate.pem());
  std::string asked;
  ScriptedServer proxy([&](Peer& peer) {
    const std::optional<Received> connect = peer.read();
    if (!connect) return;
    asked = connect->method + " " + connect->target;
    peer.send("HTTP/1.1 200 Connected\r\nx-proxy: 1\r\n\r\n");
    if (peer.start_tls(certificate.context()) && peer.read()) peer.send(answer(200, "through the tunnel"));
  });
  EXPECT_EQ(get(settings_of({{"https_proxy", proxy.url()}, {"AWS_CA_BUNDLE", bundle}}), {"https", "far.invalid"}),
            "through the tunnel");
  EXPECT_EQ(asked, "CONNECT far.invalid:443");
}

class TlsTest : public ::testing::Test {
 protected:
  TestCertificate certificate{"IP:127.0.0.1"};
  testing::FakeWorld world;
  std::string bundle = world.write("ca.pem", certificate.pem());
  std::unique_ptr<ScriptedServer> server =
      ScriptedServer::answering([](const Received&) { return answer(200, "secret"); }, certificate.context());

  Error refusal(const Settings& settings) {
    return error_of([&] { get(settings, server->origin()); });
  }
};

TEST_F(TlsTest, TrustsTheAuthoritiesOfTheBundle) {
  for (const char* name : {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    EXPECT_EQ(get(settings_of({{name, bundle}}), server->origin()), "secret");
}

TEST_F(TlsTest, RefusesAnUnknownAuthority) {
  const Error error = refusal(settings_of({}));
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_NE(error.hint().find("AWS_CA_BUNDLE"), std::string::npos);
  const TestCertificate other("IP:127.0.0.1");
  EXPECT_EQ(refusal(settings_of({{"AWS_CA_BUNDLE", world.write("other.pem", other.pem())}})).kind(), ErrorKind::denied);
  EXPECT_TRUE(server->requests().empty());
}

TEST_F(TlsTest, RefusesTheCertificateOfAnotherHost) {
  Origin origin = server->origin();
  origin.host = "localhost";
  const Error error = error_of([&] { get(settings_of({{"AWS_CA_BUNDLE", bundle}}), origin); });
  EXPECT_EQ(error.kind(), ErrorKind::denied) << error.what();
  EXPECT_EQ(error.summary(), "the service's certificate is for another host") << error.cause();
  EXPECT_TRUE(server->requests().empty());
}

TEST_F(TlsTest, TellsAnExpiredCertificateFromOneThatIsNotValidYet) {
  const auto refusal_of = [&](long from_seconds, long to_seconds) {
    const TestCertificate badly_timed("IP:127.0.0.1", from_seconds, to_seconds);
    const auto shown = ScriptedServer::answering([](const Received&) { return answer(200); }, badly_timed.context());
    return error_of([&] {
      get(settings_of({{"AWS_CA_BUNDLE", world.write("timed.pem", badly_timed.pem())}}), shown->origin());
    });
  };
  const Error late = refusal_of(-7200, -3600), early = refusal_of(3600, 7200);
  EXPECT_EQ(late.kind(), ErrorKind::denied);
  EXPECT_EQ(late.summary(), "the service's certificate has expired") << late.cause();
  EXPECT_NE(late.hint().find("renewed"), std::string::npos);
  EXPECT_EQ(early.summary(), "the service's certificate is not valid yet") << early.cause();
}

TEST_F(TlsTest, SaysThatABundleCannotBeRead) {
  EXPECT_EQ(refusal(settings_of({{"AWS_CA_BUNDLE", world.path("missing.pem")}})).kind(), ErrorKind::invalid);
}

TEST_F(TlsTest, TrustsAnyoneOnlyWhenToldTo) {
  Settings settings = settings_of({});
  settings.verify_tls = false;
  EXPECT_EQ(get(settings, server->origin()), "secret");
}

TEST_F(TlsTest, CarriesLargeBodiesBothWays) {
  const auto echo = ScriptedServer::answering([](const Received& request) { return answer(200, request.body); },
                                              certificate.context());
  Client client(settings_of({{"AWS_CA_BUNDLE", bundle}}), os::system_clock());
  const std::string text(7'000'000, 'x');
  for (int round = 0; round < 3; ++round) {
    SpanBody body(text);
    EXPECT_TRUE(fetch(client, {Method::put, echo->origin()}, &body, {}, {}, 8'000'000).body == text);
  }
  EXPECT_EQ(echo->connections(), 1);
}

}  // namespace
}  // namespace bale::http
