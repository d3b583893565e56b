// Servers that fail or are slow for years: which connections are reused, and when a slow exchange is given up.
#include <gtest/gtest.h>

#include <thread>

#include "contract/errors.hpp"
#include "http/client.hpp"
#include "support/scripted_server.hpp"

namespace bale::http {
namespace {

using testing::answer;
using testing::Peer;
using testing::Received;
using testing::ScriptedServer;
using namespace std::chrono_literals;
using namespace literals;

class FailingServer : public ::testing::Test {
 protected:
  Answer fetch(const ScriptedServer& server, const Deadlines& deadlines = {}, Body* body = nullptr) {
    const Method method = body == nullptr ? Method::get : Method::put;
    return http::fetch(client, {method, server.origin(), "/"}, body, deadlines, {}, 1_GiB);
  }
  /// Makes `count` connections and leaves them idle. The bodies of the server are large enough to keep each busy until
  /// the last one is made.
  void connect(const ScriptedServer& server, std::size_t count) {
    std::vector<std::unique_ptr<Exchange>> open;
    for (std::size_t i = 0; i < count; ++i) {
      open.push_back(std::make_unique<Exchange>(client));
      open.back()->send({Method::get, server.origin(), "/"});
    }
    for (auto& exchange : open) exchange->text(large.size());
    ASSERT_EQ(server.connections(), static_cast<int>(count));
  }

  const std::string large = std::string(2'000'000, 'x');
  Client client{Settings{}, os::system_clock()};
};

TEST_F(FailingServer, IsNotAskedAgainOverTheSameConnection) {
  for (const int status : {408, 429, 500, 501, 502, 503, 504, 599}) {
    const auto server = ScriptedServer::answering(
        [&](const Received& request) { return answer(request.connection == 0 ? status : 200, "body"); });
    EXPECT_EQ(fetch(*server).head.status, status);
    EXPECT_EQ(fetch(*server).head.status, 200) << status;
    EXPECT_EQ(fetch(*server).head.status, 200) << status;
    EXPECT_EQ(server->connections(), 2) << status;
  }
}

TEST_F(FailingServer, RefusalsKeepTheConnection) {
  for (const int status : {200, 304, 400, 403, 404, 412}) {
    const auto server = ScriptedServer::answering([&](const Received&) { return answer(status); });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(fetch(*server).head.status, status);
    EXPECT_EQ(server->connections(), 1) << status;
  }
}

/// A load balancer with a server that is taken out: connections made before lead to it, later ones to others.
TEST_F(FailingServer, IsLeftWhenTheCallerSaysSo) {
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(404, large); });
  connect(*server, 2);
  client.close_idle(server->origin());
  for (int i = 0; i < 2; ++i) fetch(*server);
  EXPECT_EQ(server->connections(), 3);
}

TEST_F(FailingServer, IsLeftWithAllOthersWhenTheCallerSaysSo) {
  const auto one = ScriptedServer::answering([&](const Received&) { return answer(200, large); });
  const auto other = ScriptedServer::answering([&](const Received&) { return answer(200, large); });
  connect(*one, 2);
  connect(*other, 1);
  client.close_all_idle();
  fetch(*one);
  fetch(*other);
  EXPECT_EQ(one->connections(), 3);
  EXPECT_EQ(other->connections(), 2);
}

TEST_F(FailingServer, TakesItsOtherIdleConnectionsAlong) {
  std::atomic<bool> failing = false;
  const auto server = ScriptedServer::answering(
      [&](const Received& request) { return answer(failing && request.connection < 8 ? 503 : 200, large); });
  connect(*server, 8);
  failing = true;
  EXPECT_EQ(fetch(*server).head.status, 503);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(fetch(*server).head.status, 200);
  EXPECT_EQ(server->connections(), 9);
}

TEST_F(FailingServer, WithoutAnAnswerTakesItsIdleConnectionsAlong) {
  for (const std::string_view part : {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"}) {
    for (const bool cut : {false, true}) {
      std::atomic<bool> failing = false;
      ScriptedServer server([&](Peer& peer) {
        while (const auto request = peer.read()) {
          if (failing && request->connection < 4) {
            peer.send(part);
            if (!cut) peer.wait(10s);
            return;
          }
          peer.send(answer(200, large));
        }
      });
      connect(server, 4);
      failing = true;
      Deadlines deadlines;
      deadlines.idle = 200ms;
      // A connection that is closed before anything was answered is replaced at once: nobody notices.
      if (!cut || !part.empty()) {
        EXPECT_ERROR(cut ? ErrorKind::unavailable : ErrorKind::timeout, "", fetch(server, deadlines));
      }
      EXPECT_EQ(fetch(server, deadlines).head.status, 200);
      EXPECT_EQ(server.connections(), 5);
    }
  }
}

TEST(ConnectionAge, EndsTheReuseOfAConnection) {
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200); });
  Settings settings;
  settings.max_connection_age = 1s;
  Client client{settings, os::system_clock()};
  const auto ask = [&] { return fetch(client, {Method::get, server->origin(), "/"}, nullptr, {}, {}, 1_KiB); };
  ask();
  ask();
  EXPECT_EQ(server->connections(), 1);
  std::this_thread::sleep_for(2100ms);  // libcurl counts whole seconds
  ask();
  EXPECT_EQ(server->connections(), 2);
}

TEST(IdleConnections, TheLongestUnusedOneIsClosedForANewOne) {
  std::vector<std::unique_ptr<ScriptedServer>> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(ScriptedServer::answering([](const Received&) { return answer(200); }));
  Settings settings;
  settings.max_idle_connections = 2;
  Client client{settings, os::system_clock()};
  const auto ask = [&](std::size_t i) {
    return fetch(client, {Method::get, servers[i]->origin(), "/"}, nullptr, {}, {}, 1_KiB);
  };
  for (const std::size_t i : {0U, 1U, 2U, 2U, 1U}) ask(i);
  EXPECT_EQ(servers[1]->connections(), 1);
  EXPECT_EQ(servers[2]->connections(), 1);
  ask(0);
  EXPECT_EQ(servers[0]->connections(), 2) << "the third server took its place";
}

// --- Slow servers ---------------------------------------------------------------------------------------------------

/// Gives up what is behind 1000 bytes a second for 300 ms.
Deadlines impatient() {
  Deadlines deadlines;
  deadlines.idle = 5s;
  deadlines.slack = 300ms;
  deadlines.least_rate = 1000;
  return deadlines;
}

void trickle(Peer& peer, std::string_view text) {
  for (const char c : text) {
    peer.wait(20ms);  // 50 bytes a second
    if (!peer.send({&c, 1})) return;
  }
}

TEST_F(FailingServer, IsGivenUpWhenItTricklesHeadOrBody) {
  const std::string body(1000, 'x');
  const std::pair<std::string, std::string> answers[] = {
      {"", answer(200, body)},
      {"HTTP/1.1 200 OK\r\nX-Long: ", body},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", body},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", body + "\r\n0\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\n\r\n", body},
  };
  for (const auto& [at_once, slowly] : answers) {
    ScriptedServer server([&](Peer& peer) {
      if (!peer.read()) return;
      peer.send(at_once);
      trickle(peer, slowly);
    });
    const auto began = std::chrono::steady_clock::now();
    SCOPED_TRACE(at_once);
    EXPECT_ERROR(ErrorKind::timeout, "", fetch(server, impatient()));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s) << at_once;
  }
}

TEST_F(FailingServer, IsGivenUpWhenItsBytesAreReadOneByOne) {
  ScriptedServer server([&](Peer& peer) {
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    trickle(peer, std::string(1000, 'x'));
  });
  Exchange exchange(client, impatient());
  exchange.send({Method::get, server.origin(), "/"});
  const auto read_all = [&] {
    std::byte one[1];
    while (exchange.read(one) > 0) {
    }
  };
  EXPECT_ERROR(ErrorKind::timeout, "", read_all());
}

TEST_F(FailingServer, IsGivenUpWhenItWasFastBefore) {
  ScriptedServer server([&](Peer& peer) {
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10001000\r\n\r\n" + std::string(10'000'000, 'x'));
    trickle(peer, std::string(1000, 'x'));
  });
  EXPECT_ERROR(ErrorKind::timeout, "", fetch(server, impatient()));
}

TEST_F(FailingServer, IsGivenUpWhenItTakesABodySlowly) {
  ScriptedServer server([&](Peer& peer) {
    if (!peer.read_head()) return;
    while (peer.skip_body(64 << 10)) peer.wait(20ms);
  });
  const std::string text(100'000'000, 'x');
  SpanBody body(text);
  Deadlines deadlines = impatient();
  deadlines.least_rate = 100'000'000;
  EXPECT_ERROR(ErrorKind::timeout, "", fetch(server, deadlines, &body));
}

TEST_F(FailingServer, IsGivenUpWhenItNeverComesToItsAnswer) {
  ScriptedServer server([&](Peer& peer) {
    if (!peer.read()) return;
    while (peer.send("HTTP/1.1 100 Continue\r\n\r\n")) {
    }
  });
  EXPECT_ERROR(ErrorKind::corrupt, "", fetch(server, impatient()));
}

TEST_F(FailingServer, IsNotBlamedForTheTimeOfItsReader) {
  const auto server =
      ScriptedServer::answering([&](const Received&) { return answer(200, std::string(500'000, 'x')); });
  Exchange exchange(client, impatient());
  exchange.send({Method::get, server->origin(), "/"});
  ByteCount got = 0;
  exchange.drain([&](ByteView bytes) {
    std::this_thread::sleep_for(50ms);
    got += bytes.size();
  });
  EXPECT_EQ(got, 500'000U);
}

/// Gives its bytes slowly.
class SlowBody final : public Body {
 public:
  ByteCount size() const override { return bytes_.size(); }
  ByteView next(std::size_t most) override {
    std::this_thread::sleep_for(50ms);
    return inner_.next(std::min<std::size_t>(most, 10'000));
  }
  void rewind() override { inner_.rewind(); }

 private:
  std::string bytes_ = std::string(200'000, 'x');
  SpanBody inner_{std::string_view(bytes_)};
};

TEST_F(FailingServer, IsNotBlamedForTheTimeOfItsWriter) {
  const auto server = ScriptedServer::answering(
      [&](const Received& request) { return answer(200, std::to_string(request.body.size())); });
  SlowBody body;
  EXPECT_EQ(fetch(*server, impatient(), &body).body, "200000");
}

}  // namespace
}  // namespace bale::http
