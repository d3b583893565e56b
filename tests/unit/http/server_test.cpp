// Pages for operators.
#include "http/server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/error.hpp"
#include "http/client.hpp"
#include "os/clock.hpp"

namespace bale::http {
namespace {

TEST(ListenAddress, IsReadInAllItsForms) {
  const auto text_of = [](std::string_view text) {
    const ListenAddress address = parse_listen_address(text);
    return address.host + " " + std::to_string(address.port);
  };
  EXPECT_EQ(text_of("localhost:9090"), "localhost 9090");
  EXPECT_EQ(text_of(":9090"), "127.0.0.1 9090");
  EXPECT_EQ(text_of("9090"), "127.0.0.1 9090");
  EXPECT_EQ(text_of("0"), "127.0.0.1 0");
  EXPECT_EQ(text_of("0.0.0.0:9090"), "0.0.0.0 9090");
  EXPECT_EQ(text_of("[::]:9090"), ":: 9090");
  EXPECT_EQ(text_of("[::1]:80"), "::1 80");
  for (const char* bad : {"", "host", "host:", "host:x", "host:70000", "host:-1", "::1:80", "host:1 "})
    EXPECT_THROW(parse_listen_address(bad), Error) << bad;
}

class ServerTest : public ::testing::Test {
 protected:
  std::string get(const std::string& path, int status) {
    Request request;
    request.origin = {"http", "127.0.0.1", server.port()};
    request.path = path;
    Client client{Settings{}, os::system_clock()};
    const Answer answer = fetch(client, request, nullptr, {}, {}, 1 << 20);
    EXPECT_EQ(answer.head.status, status);
    return answer.body;
  }

  int asked = 0;
  Server server{{"127.0.0.1", 0},
                {{"/count",
                  [this] {
                    return Page{200, "text/plain", std::to_string(++asked)};
                  }},
                 {"/sick",
                  [] {
                    return Page{503, "text/plain", "sick"};
                  }},
                 {"/broken", []() -> Page { throw std::runtime_error("broken"); }}},
                os::system_clock()};
};

TEST_F(ServerTest, AsksTheHandlerEachTime) {
  EXPECT_EQ(get("/count", 200), "1");
  EXPECT_EQ(get("/count", 200), "2");
}

TEST_F(ServerTest, PassesTheStatusOn) {
  EXPECT_EQ(get("/sick", 503), "sick");
  get("/nothing", 404);
  get("/broken", 500);
}

TEST_F(ServerTest, KeepsNoConnectionThatOthersWaitFor) {
  // Monitors that keep their connections would hold all threads between two of their looks.
  std::vector<std::unique_ptr<Client>> monitors;
  Request request;
  request.origin = {"http", "127.0.0.1", server.port()};
  request.path = "/count";
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 8; ++i) {
    monitors.push_back(std::make_unique<Client>(Settings{}, os::system_clock()));
    EXPECT_EQ(fetch(*monitors.back(), request, nullptr, {}, {}, 1 << 20).head.status, 200);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(ServerTest, RefusesAnAddressThatIsTaken) {
  EXPECT_THROW(Server({"127.0.0.1", server.port()}, {}, os::system_clock()), Error);
  EXPECT_THROW(Server({"host.invalid", 0}, {}, os::system_clock()), Error);
}

}  // namespace
}  // namespace bale::http
