// Strangers before the server of health and metrics: whatever they do, the next health check is answered.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "http/server.hpp"
#include "os/clock.hpp"
#include "os/files.hpp"
#include "os/process_use.hpp"

namespace bale::http {
namespace {

using namespace std::chrono_literals;

/// A client that sends what it likes.
class Stranger {
 public:
  explicit Stranger(std::uint16_t port) {
    // Where descriptors are few, the server may still hold that of the last client.
    for (int i = 0; i < 100 && (socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0; ++i) ::usleep(10'000);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Stranger() { ::close(socket_); }
  Stranger(Stranger&& other) noexcept : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}

  /// False once the server has closed the connection.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }
  /// Everything until the server closes, or nothing came for ten seconds.
  std::string read() {
    std::string all;
    char buffer[4096];
    for (;;) {
      pollfd poll{socket_, POLLIN, 0};
      if (::poll(&poll, 1, 10'000) <= 0) return all + "(no more)";
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(got));
    }
  }
  int status() {
    const std::string text = read();
    return text.starts_with("HTTP/1.1 ") ? std::stoi(text.substr(9, 3)) : 0;
  }
  bool is_connected() const noexcept { return connected_; }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

class Strangers : public ::testing::Test {
 protected:
  static ServerLimits limits() {
    ServerLimits limits;
    limits.connections = 16;
    limits.request_time = 3s;
    limits.answer_time = 1s;
    return limits;
  }
  Stranger stranger() { return Stranger(server.port()); }
  int status_of(std::string_view request) {
    Stranger client(server.port());
    client.send(request);
    return client.status();
  }
  /// The invariant: a health check is answered, at once.
  void expect_health() {
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(status_of("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  }

  const std::string page = std::string(12'000'000, 'x');
  Server server{{"127.0.0.1", 0},
                {{"/healthz",
                  [] {
                    return Page{200, "text/plain", "ok"};
                  }},
                 {"/large",
                  [this] {
                    return Page{200, "text/plain", page};
                  }}},
                os::system_clock(),
                limits()};
};

TEST_F(Strangers, GetTheStatusThatTheirRequestDeserves) {
  EXPECT_EQ(status_of("GET /healthz HTTP/1.1\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET /healthz?a=b HTTP/1.0\n\n"), 200);
  EXPECT_EQ(status_of("GET http://host/healthz HTTP/1.1\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET /../healthz HTTP/1.1\r\n\r\n"), 404);
  EXPECT_EQ(status_of("POST /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), 405);
  EXPECT_EQ(status_of("\x16\x03\x01 hello TLS\r\n\r\n"), 400);
  EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /healthz\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\r\n\r\n"), 400);
  Stranger head = stranger();
  head.send("HEAD /healthz HTTP/1.1\r\n\r\n");
  const std::string text = head.read();
  EXPECT_NE(text.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST_F(Strangers, SendHeadersWithoutEnd) {
  const ByteCount before = os::process_use(os::system_files()).resident_bytes;
  const std::string piece(1 << 20, 'x'), lines = [] {
    std::string all;
    for (int i = 0; i < 100'000; ++i) all += fmt::format("h{}: v\r\n", i);
    return all;
  }();
  for (const std::string_view start : {"", "GET /healthz HTTP/1.1\r\nX: ", "GET /"}) {
    for (const std::string& more : {piece, lines}) {
      Stranger client = stranger();
      client.send(start);
      int sent = 0;
      while (sent < 200 && client.send(more)) ++sent;
      EXPECT_LT(sent, 200) << "the server goes on reading";
      expect_health();
    }
  }
  EXPECT_LT(os::process_use(os::system_files()).resident_bytes, before + (8 << 20));
  EXPECT_EQ(status_of("GET /healthz HTTP/1.1\r\nX: " + std::string(17'000, 'x')), 431);
  EXPECT_EQ(status_of("GET /" + std::string(17'000, 'x')), 431);
  EXPECT_EQ(status_of("GET /healthz HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n"), 200);
}

TEST_F(Strangers, SendBodiesThatNobodyReads) {
  for (const std::string_view head : {"POST /healthz HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                                      "POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"}) {
    Stranger client = stranger();
    client.send(head);
    client.send(std::string(100'000, 'x'));
    expect_health();
    EXPECT_EQ(client.status(), 405);
  }
}

TEST_F(Strangers, PipelineRequests) {
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += "GET /healthz HTTP/1.1\r\n\r\n";
  Stranger client = stranger();
  client.send(requests);
  const std::string text = client.read();
  EXPECT_EQ(text.find("HTTP/1.1 200"), 0U);
  EXPECT_EQ(text.find("HTTP/1.1", 1), std::string::npos) << "one request per connection";
  expect_health();
}

TEST_F(Strangers, SendAByteAtATime) {
  std::vector<Stranger> slow;
  for (int i = 0; i < 8; ++i) slow.push_back(stranger());
  const auto began = std::chrono::steady_clock::now();
  bool open = true;
  while (open && std::chrono::steady_clock::now() - began < 20s) {
    open = false;
    for (Stranger& client : slow) open = client.send("x") || open;
    expect_health();
    ::usleep(100'000);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 8s) << "the deadline is for the whole request";
}

TEST_F(Strangers, OpenManyConnectionsAndSayNothing) {
  std::vector<Stranger> silent;
  for (int i = 0; i < 1000; ++i) {
    silent.push_back(stranger());
    ASSERT_TRUE(silent.back().is_connected());
    if (i % 100 == 0) expect_health();
  }
  expect_health();
}

TEST_F(Strangers, AskForPagesAndReadNothing) {
  std::vector<Stranger> lazy;
  for (int i = 0; i < 64; ++i) {
    lazy.push_back(stranger());
    lazy.back().send("GET /large HTTP/1.1\r\n\r\n");
    expect_health();
  }
  EXPECT_LT(lazy[0].read().size(), page.size()) << "given up for others";
}

TEST_F(Strangers, GoAwayWithoutReading) {
  for (int i = 0; i < 50; ++i) stranger().send("GET /large HTTP/1.1\r\n\r\n");
  expect_health();
}

/// No descriptor is left in the process: the server closes an older connection, or the one that it keeps for this.
TEST_F(Strangers, AreNotTheOnlyOnesWhoTakeDescriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit low{std::min<rlim_t>(limit.rlim_cur, 512), limit.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &low);
  expect_health();
  for (const int connections : {0, 3}) {
    std::vector<Stranger> waiting;
    for (int i = 0; i < connections; ++i) waiting.push_back(stranger());
    ::usleep(100'000);
    std::vector<int> taken;
    for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY)) >= 0;) taken.push_back(fd);
    EXPECT_GT(taken.size(), 100U);
    ::close(taken.back());  // for the client
    taken.pop_back();
    for (int i = 0; i < 3; ++i) expect_health();
    for (const int fd : taken) ::close(fd);
  }
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace bale::http
