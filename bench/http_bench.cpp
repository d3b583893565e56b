// CPU of the HTTP client against the limit: the same bytes through bare sockets, in the same run.
//
//   http_bench        uploads and downloads of 1 GiB in 8 MiB bodies, and 20,000 small PUTs, on 127.0.0.1
#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "http/client.hpp"
#include "os/clock.hpp"
#include "support/scripted_server.hpp"

using namespace bale;
using namespace bale::http;

namespace {

constexpr std::size_t part_bytes = 8 << 20;
constexpr int parts = 128;
constexpr int small_puts = 20'000;

struct Cost {
  double cpu_seconds;
  double wall_seconds;
};

/// CPU of the calling thread alone: the server's threads are not the client's cost.
template <typename Work>
Cost measure(const Work& work) {
  const auto cpu = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double cpu_before = cpu();
  const auto before = std::chrono::steady_clock::now();
  work();
  return {cpu() - cpu_before, std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count()};
}

void print(const char* what, const Cost& client, const Cost& limit) {
  fmt::print("{:<28} client {:6.3f} s CPU {:6.3f} s wall   bare sockets {:6.3f} s CPU {:6.3f} s wall   ratio {:.2f}\n",
             what, client.cpu_seconds, client.wall_seconds, limit.cpu_seconds, limit.wall_seconds,
             client.cpu_seconds / limit.cpu_seconds);
}

/// Reads requests and throws their bodies away; answers a GET with `part`.
void serve(testing::Peer& peer, const std::string& part) {
  while (std::optional<testing::Received> request = peer.read_head()) {
    if (!request->headers.get("expect").empty()) peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    const std::string length(request->headers.get("content-length"));
    if (!peer.skip_body(length.empty() ? 0 : std::stoull(length))) return;
    peer.send(request->method == "GET" ? testing::answer(200, part) : testing::answer(200));
  }
}

int connect_bare(const testing::ScriptedServer& server) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.port());
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
  return socket;
}

/// One request and its answer by hand: what no client can be faster than.
void bare(int socket, std::string_view head, std::string_view body, std::string& buffer) {
  const int more = body.empty() ? 0 : MSG_MORE;
  if (::send(socket, head.data(), head.size(), more) < 0) throw std::runtime_error("send");
  while (!body.empty()) {
    const ssize_t sent = ::send(socket, body.data(), body.size(), 0);
    if (sent < 0) throw std::runtime_error("send");
    body.remove_prefix(static_cast<std::size_t>(sent));
  }
  std::size_t got = 0, wanted = SIZE_MAX;
  while (got < wanted) {
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count <= 0) throw std::runtime_error("recv");
    if (got == 0) {
      const std::string_view answer = std::string_view(buffer).substr(0, static_cast<std::size_t>(count));
      wanted = answer.find("\r\n\r\n") + 4 + std::stoull(std::string(answer.substr(answer.find("Length: ") + 8, 12)));
    }
    got += static_cast<std::size_t>(count);
  }
}

}  // namespace

int main() {
  const std::string part(part_bytes, 'x'), small(8 << 10, 'y');
  testing::ScriptedServer server([&](testing::Peer& peer) { serve(peer, part); });
  Client client(Settings{}, os::system_clock());
  const int socket = connect_bare(server);
  std::string buffer(256 << 10, '\0');
  const Request get{Method::get, server.origin(), "/bucket/key"};
  Request put{Method::put, server.origin(), "/bucket/key"};
  for (const char* name : {"x-amz-date", "x-amz-content-sha256", "authorization", "content-type", "x-amz-meta-a"})
    put.headers.add(name, std::string(40, 'v'));
  const auto put_client = [&](const std::string& text) {
    SpanBody body(text);
    fetch(client, put, &body, {}, {}, 1000);
  };
  const auto put_bare = [&](const std::string& text) {
    bare(socket, fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", text.size()), text, buffer);
  };
  const auto times = [](int count, const auto& work) {
    return measure([&] {
      for (int i = 0; i < count; ++i) work();
    });
  };
  print("upload 1 GiB, 8 MiB bodies", times(parts, [&] { put_client(part); }), times(parts, [&] { put_bare(part); }));
  print("download 1 GiB, 8 MiB bodies",
        times(parts,
              [&] {
                Exchange exchange(client);
                exchange.send(get);
                while (exchange.read(std::as_writable_bytes(std::span(buffer))) > 0) {
                }
              }),
        times(parts, [&] { bare(socket, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", {}, buffer); }));
  const Cost cost = times(small_puts, [&] { put_client(small); });
  print("20,000 PUTs of 8 KiB", cost, times(small_puts, [&] { put_bare(small); }));
  fmt::print("one small PUT: {:.1f} us of CPU, {:.0f} a second on one connection\n",
             cost.cpu_seconds * 1e6 / small_puts, small_puts / cost.wall_seconds);
  ::close(socket);
  return 0;
}
