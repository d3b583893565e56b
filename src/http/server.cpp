#include "http/server.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <charconv>
#include <thread>
#include <utility>

#include "base/error.hpp"

namespace bale::http {
namespace {

/// Pages are short and few ask; two that dawdle do not keep a third waiting.
constexpr std::size_t threads = 4;
constexpr std::chrono::seconds patience{5};
constexpr std::size_t most_body_bytes = 1024;

Error bad_address(std::string_view text) {
  return Error(ErrorKind::invalid, fmt::format("'{}' is not an address to listen on", text), {},
               "write host:port, :port for all addresses, or [::1]:port");
}

}  // namespace

ListenAddress parse_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) throw bad_address(text);
  ListenAddress address;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != std::string_view::npos) throw bad_address(text);
  address.host = host.empty() ? "0.0.0.0" : std::string(host);
  const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (problem != std::errc() || end != port.data() + port.size()) throw bad_address(text);
  return address;
}

struct Server::State {
  httplib::Server server;
  int port = 0;
  std::jthread thread;
};

Server::Server(const ListenAddress& address, const std::map<std::string, Handler>& pages)
    : state_(std::make_unique<State>()) {
  httplib::Server& server = state_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(threads); };  // owned by the server
  // The library's own choice, SO_REUSEPORT, would share a port with another program without a word.
  server.set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_read_timeout(patience);
  server.set_write_timeout(patience);
  server.set_keep_alive_max_count(1);  // a kept connection would keep one of the few threads
  server.set_payload_max_length(most_body_bytes);
  for (auto& [path, handler] : pages) {
    server.Get(path, [handle = std::move(handler)](const httplib::Request&, httplib::Response& response) {
      const Page page = handle();
      response.status = page.status;
      response.set_content(page.body, page.content_type);
    });
  }
  state_->port = address.port == 0 ? server.bind_to_any_port(address.host)
                                   : (server.bind_to_port(address.host, address.port) ? address.port : -1);
  if (state_->port < 0) {
    throw Error(ErrorKind::unavailable, fmt::format("cannot listen on {} port {}", address.host, address.port),
                "--listen", "is another program listening there? choose another port, or 0 for one that is free");
  }
  state_->thread = std::jthread([&server] { server.listen_after_bind(); });
  // stop() does nothing to a server that does not run yet.
  while (!server.is_running()) std::this_thread::yield();
}

Server::~Server() { state_->server.stop(); }

std::uint16_t Server::port() const noexcept { return static_cast<std::uint16_t>(state_->port); }

}  // namespace bale::http
