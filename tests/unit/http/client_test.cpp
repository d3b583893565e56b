// The client against a server that does what each test tells it.
#include "http/client.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::http {
namespace {

using testing::answer;
using testing::error_of;
using testing::Peer;
using testing::Received;
using testing::ScriptedServer;
using namespace std::chrono_literals;
using namespace literals;

constexpr ByteCount plenty = 1_GiB;

Request to(const ScriptedServer& server, Method method = Method::get, std::string path = "/") {
  return {method, server.origin(), std::move(path)};
}

class ClientTest : public ::testing::Test {
 protected:
  Answer fetch(const Request& request, Body* body = nullptr, const Deadlines& deadlines = {}) {
    return http::fetch(client, request, body, deadlines, {}, plenty);
  }
  std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + (i >> 12));
    return text;
  }

  Client client{Settings{}, os::system_clock()};
};

TEST_F(ClientTest, SendsARequestAsItIsAndReadsItsAnswer) {
  const auto server = ScriptedServer::answering([](const Received&) {
    return answer(404, "gone", {{"x-One", " 1 "}});
  });
  Request request = to(*server, Method::get, "/b/../a//%20+%C3%A4/.");
  request.query = "list-type=2&prefix=%2F";
  request.headers.add("x-amz-meta-empty", "");
  request.headers.add("Range", "bytes=0-1");
  const Answer got = fetch(request);
  EXPECT_EQ(got.head.status, 404);
  EXPECT_EQ(got.head.headers.get("X-ONE"), "1");
  EXPECT_EQ(got.body, "gone");
  const Received seen = server->requests().at(0);
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/b/../a//%20+%C3%A4/.?list-type=2&prefix=%2F");
  EXPECT_EQ(seen.headers.get("host"), server->origin().authority());
  EXPECT_EQ(seen.headers.get("range"), "bytes=0-1");
  ASSERT_NE(seen.headers.find("x-amz-meta-empty"), nullptr);
  EXPECT_EQ(seen.headers.find("accept"), nullptr);
  EXPECT_EQ(seen.headers.find("content-type"), nullptr);
  EXPECT_EQ(seen.headers.find("content-length"), nullptr);
}

TEST_F(ClientTest, RefusesHeadersThatWouldBeTwo) {
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200); });
  for (const char* value : {"a\r\nX-Evil: 1", "a\n", "\r"}) {
    Request request = to(*server);
    request.headers.add("x-amz-meta-a", value);
    EXPECT_ERROR(ErrorKind::invalid, "", fetch(request));
  }
  EXPECT_EQ(fetch(to(*server)).head.status, 200);
  EXPECT_EQ(server->requests().size(), 1u);
}

TEST_F(ClientTest, SendsBodiesOfEverySizeWithTheirLength) {
  const auto server = ScriptedServer::answering([](const Received& request) { return answer(200, request.body); });
  for (const Method method : {Method::put, Method::post}) {
    for (const std::size_t size : {0UL, 1UL, 65535UL, 65536UL, 1048575UL, 1048576UL, 5000000UL}) {
      const std::string text = pattern(size);
      SpanBody body(text);
      EXPECT_TRUE(fetch(to(*server, method), &body).body == text) << size;
      const Received seen = server->requests().back();
      EXPECT_EQ(seen.method, to_string(method));
      EXPECT_EQ(seen.headers.get("content-length"), std::to_string(size));
      EXPECT_EQ(seen.headers.find("content-type"), nullptr);
      EXPECT_EQ(seen.headers.get("expect"), size >= 1048576 ? "100-continue" : "") << size;
    }
  }
  const std::string text = pattern(100);
  SpanBody pieces({as_bytes(text).first(10), as_bytes(text).subspan(10)});
  EXPECT_EQ(fetch(to(*server, Method::put), &pieces).body, text);
  fetch(to(*server, Method::post));
  EXPECT_EQ(server->requests().back().headers.get("content-length"), "0");
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(ClientTest, SaysThatThereIsNoBodyWhereServersWaitForOne) {
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200); });
  const auto lengths_of = [&](Method method) {
    fetch(to(*server, method));
    std::vector<std::string> lengths;
    const Received seen = server->requests().back();
    for (const Header& header : seen.headers) {
      if (same_name(header.name, "content-length")) lengths.push_back(header.value);
    }
    return lengths;
  };
  const std::vector<std::string> zero{"0"}, none;
  for (int round = 0; round < 2; ++round) {  // on one connection, in which nothing of another request stays
    EXPECT_EQ(lengths_of(Method::del), zero);
    EXPECT_EQ(lengths_of(Method::get), none);
    EXPECT_EQ(lengths_of(Method::put), zero);
    EXPECT_EQ(lengths_of(Method::head), none);
    EXPECT_EQ(lengths_of(Method::post), zero);
  }
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(ClientTest, KnowsHeadAndDelete) {
  const auto server = ScriptedServer::answering([](const Received& request) {
    return request.method == "HEAD" ? "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" : "HTTP/1.1 204 No\r\n\r\n";
  });
  const Answer head = fetch(to(*server, Method::head));
  EXPECT_EQ(head.head.headers.get("content-length"), "5000");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(fetch(to(*server, Method::del)).head.status, 204);
  EXPECT_EQ(server->requests().back().method, "DELETE");
  EXPECT_EQ(fetch(to(*server, Method::head)).head.status, 200);
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(ClientTest, ReadsBodiesInPiecesOfAnySize) {
  const std::string text = pattern(3'000'000);
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(200, text); });
  for (const std::size_t piece : {1000UL, 70'000UL, 4'000'000UL}) {
    Exchange exchange(client);
    EXPECT_EQ(exchange.send(to(*server)).status, 200);
    std::string all, buffer(piece, '\0');
    while (const std::size_t got = exchange.read(std::as_writable_bytes(std::span(buffer)))) all.append(buffer, 0, got);
    EXPECT_TRUE(all == text) << piece;
    EXPECT_GE(exchange.progress().received, text.size());
  }
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(ClientTest, HoldsBackAServerThatIsFasterThanItsReader) {
  std::atomic<std::size_t> sent = 0;
  ScriptedServer server([&](Peer& peer) {
    const std::string piece(1 << 20, 'x');
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n");
    while (sent < 256 && peer.send(piece)) ++sent;
  });
  Exchange exchange(client);
  exchange.send(to(server));
  std::byte one[1];
  EXPECT_EQ(exchange.read(one), 1u);
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(sent, 64u);  // socket buffers, not this process's memory
  ByteCount rest = 0;
  exchange.drain([&](ByteView bytes) { rest += bytes.size(); });
  EXPECT_EQ(rest, 256_MiB - 1);
}

TEST_F(ClientTest, ReadsChunkedBodiesAndBodiesUntilTheEnd) {
  ScriptedServer server([](Peer& peer) {
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nx-late: 1\r\n\r\n");
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
  });
  EXPECT_EQ(fetch(to(server)).body, "hello!");
  EXPECT_EQ(fetch(to(server)).body, "until the end");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, KeepsAsManyConnectionsAsThreads) {
  const auto server = ScriptedServer::answering([](const Received&) { return answer(200, "ok"); });
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) good += fetch(to(*server)).body == "ok" ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
  EXPECT_LE(server->connections(), 8);
}

TEST_F(ClientTest, ClosesAConnectionWhoseBodyWasNotRead) {
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(200, pattern(5'000'000)); });
  { Exchange(client).send(to(*server)); }
  EXPECT_EQ(fetch(to(*server)).body.size(), 5'000'000u);
  EXPECT_EQ(server->connections(), 2);
}

// --- Failures: each with what the caller may conclude from it -------------------------------------------------------

struct Failed {
  Error error;
  Progress progress;
};

Failed failure_of(Client& client, const Request& request, Body* body = nullptr, const Deadlines& deadlines = {}) {
  Exchange exchange(client, deadlines);
  Error error = error_of([&] {
    exchange.send(request, body);
    exchange.text(plenty);
  });
  return {std::move(error), exchange.progress()};
}

TEST_F(ClientTest, TellsThatNothingWasSentWhereNobodyListens) {
  Request request{Method::put, {"http", "127.0.0.1", 1}};
  SpanBody body("text");
  const Failed failed = failure_of(client, request, &body);
  EXPECT_EQ(failed.error.kind(), ErrorKind::unavailable);
  EXPECT_EQ(failed.error.where(), "PUT http://127.0.0.1:1/");
  EXPECT_FALSE(failed.progress.connected);
  request.origin.host = "does-not-exist.invalid";
  EXPECT_EQ(failure_of(client, request, &body).error.kind(), ErrorKind::unavailable);
}

TEST_F(ClientTest, TellsOfACutInTheHead) {
  ScriptedServer server([](Peer& peer) {
    if (peer.read()) peer.send("HTTP/1.1 200 OK\r\nConte");
  });
  SpanBody body("text");
  const Failed failed = failure_of(client, to(server, Method::put), &body);
  EXPECT_EQ(failed.error.kind(), ErrorKind::unavailable) << failed.error.what();
  EXPECT_TRUE(failed.progress.connected);
  EXPECT_EQ(failed.progress.sent, 4u);
}

TEST_F(ClientTest, TellsOfACutInTheBodyAndNeverCallsItAnEnd) {
  for (const bool reset : {false, true}) {
    for (const std::string_view start : {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
                                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
      ScriptedServer server([&](Peer& peer) {
        if (!peer.read()) return;
        peer.send(start);
        peer.wait(50ms);
        peer.close(reset);
      });
      Exchange exchange(client);
      EXPECT_EQ(exchange.send(to(server)).status, 200);
      EXPECT_ERROR(ErrorKind::unavailable, "", exchange.text(plenty));
      std::byte more[1];
      EXPECT_ERROR(ErrorKind::unavailable, "", exchange.read(more));  // and not 0
    }
  }
}

TEST_F(ClientTest, TellsOfAConnectionClosedInTheMiddleOfARequest) {
  ScriptedServer server([](Peer& peer) {
    std::optional<Received> request = peer.read_head();
    if (request) peer.read_body(*request, 1000);
    peer.close(true);
  });
  const std::string text = pattern(900'000);
  SpanBody body(text);
  const Failed failed = failure_of(client, to(server, Method::put), &body);
  EXPECT_EQ(failed.error.kind(), ErrorKind::unavailable);
  EXPECT_TRUE(failed.progress.connected);
}

TEST_F(ClientTest, TellsWhatIsNoHttp) {
  ScriptedServer server([](Peer& peer) {
    if (peer.read()) peer.send("SSH-2.0-server\r\n\r\n");
  });
  EXPECT_EQ(failure_of(client, to(server)).error.kind(), ErrorKind::corrupt);
}

TEST_F(ClientTest, BoundsAnAnswerThatIsReadWhole) {
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(200, pattern(1001)); });
  EXPECT_EQ(http::fetch(client, to(*server), nullptr, {}, {}, 1001).body.size(), 1001u);
  EXPECT_ERROR(ErrorKind::corrupt, "", http::fetch(client, to(*server), nullptr, {}, {}, 1000));
}

/// The second request on a connection meets its end without an answer, as when a service closes an idle connection.
std::unique_ptr<ScriptedServer> closing_after_one(std::shared_ptr<std::atomic<int>> seen) {
  return std::make_unique<ScriptedServer>([seen](Peer& peer) {
    if (peer.read()) peer.send(answer(200, "first"));
    if (*seen == 0 && peer.read_head())
      ++*seen;
    else if (peer.read())
      peer.send(answer(200, "again"));
  });
}

TEST_F(ClientTest, ReplacesADeadConnectionWhereARequestMayRepeat) {
  const auto seen = std::make_shared<std::atomic<int>>(0);
  const auto server = closing_after_one(seen);
  const std::string text = pattern(200'000);
  SpanBody body(text);
  EXPECT_EQ(fetch(to(*server)).body, "first");
  EXPECT_EQ(fetch(to(*server, Method::put), &body).body, "first");
  EXPECT_EQ(*seen, 1);
  EXPECT_EQ(server->connections(), 2);
}

TEST_F(ClientTest, DoesNotRepeatWhatMayNotBeRepeated) {
  for (const std::size_t size : {10UL, 200'000UL}) {
    const auto seen = std::make_shared<std::atomic<int>>(0);
    const auto server = closing_after_one(seen);
    const std::string text = pattern(size);
    SpanBody body(text);
    fetch(to(*server));
    Request request = to(*server, Method::post);
    request.may_repeat = false;
    const Failed failed = failure_of(client, request, &body);
    EXPECT_EQ(failed.error.kind(), ErrorKind::unavailable) << failed.error.cause();
    EXPECT_TRUE(failed.progress.connected);
  }
}

TEST_F(ClientTest, PassesExceptionsOfBodyAndSinkThrough) {
  struct Broken final : Body {
    ByteCount size() const override { return 500'000; }
    ByteView next(std::size_t) override { throw Error(ErrorKind::corrupt, "disk", "file"); }
    void rewind() override {}
  } broken;
  struct Short final : Body {
    ByteCount size() const override { return 500'000; }
    ByteView next(std::size_t) override { return {}; }
    void rewind() override {}
  } too_short;
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(200, "text"); });
  EXPECT_EQ(failure_of(client, to(*server, Method::put), &broken).error.where(), "file");
  EXPECT_EQ(failure_of(client, to(*server, Method::put), &too_short).error.kind(), ErrorKind::internal);
  Exchange exchange(client);
  exchange.send(to(*server));
  EXPECT_ERROR(ErrorKind::invalid, "", exchange.drain([](ByteView) { throw Error(ErrorKind::invalid, "no room"); }));
}

// --- 100 Continue ---------------------------------------------------------------------------------------------------

TEST_F(ClientTest, DoesNotSendALargeBodyThatIsRefusedBeforehand) {
  ScriptedServer server([](Peer& peer) {
    std::optional<Received> request = peer.read_head();
    if (request) peer.send(answer(307, "elsewhere", {{"Location", "http://other/"}, {"Connection", "close"}}));
    peer.wait(2s);
  });
  const std::string text = pattern(4'000'000);
  SpanBody body(text);
  Exchange exchange(client);
  EXPECT_EQ(exchange.send(to(server, Method::put), &body).status, 307);
  EXPECT_EQ(exchange.text(100), "elsewhere");
  EXPECT_EQ(exchange.progress().sent, 0u);
}

TEST_F(ClientTest, SendsALargeBodyToAServerThatNeverContinues) {
  ScriptedServer server([](Peer& peer) {
    std::optional<Received> request = peer.read_head();
    if (request && peer.read_body(*request)) peer.send(answer(200, std::to_string(request->body.size())));
  });
  const std::string text = pattern(2'000'000);
  SpanBody body(text);
  EXPECT_EQ(fetch(to(server, Method::put), &body).body, "2000000");
}

TEST_F(ClientTest, GetsTheReasonWhenALargeUploadIsRefusedHalfWay) {
  ScriptedServer server([](Peer& peer) {
    std::optional<Received> request = peer.read_head();
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (request) peer.read_body(*request, 1'000'000);
    peer.send(answer(503, "SlowDown", {{"Connection", "close"}}));
    peer.wait(2s);
  });
  const std::string text = pattern(30'000'000);
  SpanBody body(text);
  EXPECT_EQ(fetch(to(server, Method::put), &body).head.status, 503);
}

// --- Deadlines and cancellation -------------------------------------------------------------------------------------

TEST_F(ClientTest, GivesUpOnSilenceInHeadAndBody) {
  for (const std::string_view start : {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"}) {
    ScriptedServer server([&](Peer& peer) {
      if (!peer.read()) return;
      peer.send(start);
      peer.wait(10s);
    });
    Deadlines deadlines;
    deadlines.idle = 100ms;
    const auto began = std::chrono::steady_clock::now();
    const Failed failed = failure_of(client, to(server), nullptr, deadlines);
    EXPECT_EQ(failed.error.kind(), ErrorKind::timeout) << failed.error.what();
    EXPECT_TRUE(failed.progress.connected);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  }
}

TEST_F(ClientTest, WaitsForASlowTrickleUnlessItIsTooSlow) {
  ScriptedServer server([](Peer& peer) {
    while (peer.read()) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
      for (int i = 0; i < 10; ++i) {
        peer.wait(40ms);
        peer.send("x");
      }
    }
  });
  Deadlines deadlines;
  deadlines.idle = 300ms;
  EXPECT_EQ(fetch(to(server), nullptr, deadlines).body, "xxxxxxxxxx");
  deadlines.slack = 150ms;
  EXPECT_ERROR(ErrorKind::timeout, "", fetch(to(server), nullptr, deadlines));
  deadlines = {};
  deadlines.total = 150ms;
  EXPECT_ERROR(ErrorKind::timeout, "", fetch(to(server), nullptr, deadlines));
}

TEST_F(ClientTest, DoesNotCountTheReadersOwnPauseAsSilence) {
  const std::string text = pattern(20'000'000);
  const auto server = ScriptedServer::answering([&](const Received&) { return answer(200, text); });
  Deadlines deadlines;
  deadlines.idle = 1s;  // a busy machine may leave the server's thread waiting for some of it
  Exchange exchange(client, deadlines);
  exchange.send(to(*server));
  std::this_thread::sleep_for(1500ms);
  EXPECT_TRUE(exchange.text(plenty) == text);
}

TEST_F(ClientTest, GivesUpConnectingInTime) {
  // A listener that accepts nothing and whose queue is full: further connections are not even refused.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const int first = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(first, reinterpret_cast<sockaddr*>(&address), size), 0);
  Deadlines deadlines;
  deadlines.connect = 200ms;
  const Failed failed =
      failure_of(client, {Method::get, {"http", "127.0.0.1", ntohs(address.sin_port)}}, nullptr, deadlines);
  EXPECT_EQ(failed.error.kind(), ErrorKind::timeout) << failed.error.what();
  EXPECT_FALSE(failed.progress.connected);
  ::close(first);
  ::close(listener);
}

TEST_F(ClientTest, StopsAtOnceWhenAsked) {
  std::stop_source stop;
  ScriptedServer server([&](Peer& peer) {
    if (!peer.read()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    peer.wait(100ms);
    stop.request_stop();
    peer.wait(10s);
  });
  const auto began = std::chrono::steady_clock::now();
  Exchange exchange(client, {}, stop.get_token());
  exchange.send(to(server));
  EXPECT_ERROR(ErrorKind::cancelled, "", exchange.text(plenty));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  Exchange late(client, {}, stop.get_token());
  EXPECT_ERROR(ErrorKind::cancelled, "", late.send(to(server)));
  EXPECT_FALSE(late.progress().connected);
}

}  // namespace
}  // namespace bale::http
