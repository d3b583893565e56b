// A server that does exactly what a test tells it: answers, delays, cuts, wrong lengths, silence; with or without TLS.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http/message.hpp"
#include "support/test_certificate.hpp"

namespace bale::testing {

/// What a client sent.
struct Received {
  std::string method;
  std::string target;  ///< as on the request line
  http::Headers headers;
  std::string body;
  int connection = 0;  ///< 0 for the first connection, ...
};

/// "HTTP/1.1 200 OK" with a length and a body.
inline std::string answer(int status, std::string_view body = {}, const http::Headers& headers = {}) {
  std::string text = fmt::format("HTTP/1.1 {} Scripted\r\nContent-Length: {}\r\n", status, body.size());
  for (const http::Header& header : headers) text += header.name + ": " + header.value + "\r\n";
  return text + "\r\n" + std::string(body);
}

/// One connection, seen from the server. Every call returns false, or nothing, once the client has gone.
class Peer {
 public:
  Peer(int socket, int number) : socket_(socket), number_(number) {}
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// From now on the connection speaks TLS; false when the handshake fails.
  bool start_tls(SSL_CTX* context) {
    tls_.reset(SSL_new(context));
    SSL_set_fd(tls_.get(), socket_);
    return SSL_accept(tls_.get()) == 1;
  }

  /// The request line and headers of the next request.
  std::optional<Received> read_head() {
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return std::nullopt;
    }
    Received request;
    request.connection = number_;
    std::string_view head = std::string_view(input_).substr(0, end + 2);
    for (bool first = true; !head.empty(); first = false) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const std::size_t cut = line.find(first ? " " : ":");
      if (first) {
        request.method = line.substr(0, cut);
        request.target = line.substr(cut + 1, line.rfind(' ') - cut - 1);
      } else {
        const std::size_t value = std::min(line.find_first_not_of(' ', cut + 1), line.size());
        request.headers.add(std::string(line.substr(0, cut)), std::string(line.substr(value)));
      }
    }
    input_.erase(0, end + 4);
    return request;
  }

  /// Up to `most` bytes of the body that Content-Length announces; false when the client goes before they are there.
  bool read_body(Received& request, std::size_t most = SIZE_MAX) {
    const std::string length(request.headers.get("content-length"));
    const std::size_t wanted = std::min<std::size_t>(length.empty() ? 0 : std::stoull(length), most);
    while (input_.size() < wanted) {
      if (!fill()) return false;
    }
    request.body = input_.substr(0, wanted);
    input_.erase(0, wanted);
    return true;
  }

  /// Reads `size` bytes of a body and keeps none of them.
  bool skip_body(std::size_t size) {
    while (input_.size() < size) {
      size -= input_.size();
      input_.clear();
      if (!fill()) return false;
    }
    input_.erase(0, size);
    return true;
  }

  /// A whole request; "100 Continue" is given where it is asked for.
  std::optional<Received> read() {
    std::optional<Received> request = read_head();
    if (!request) return std::nullopt;
    if (!request->headers.get("expect").empty()) send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!read_body(*request)) return std::nullopt;
    return request;
  }

  bool send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = tls_ ? SSL_write(tls_.get(), text.data(), static_cast<int>(text.size()))
                             : ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Waits, unless the client or the test goes first.
  void wait(std::chrono::milliseconds time) {
    pollfd poll{socket_, POLLRDHUP, 0};
    ::poll(&poll, 1, static_cast<int>(time.count()));
  }

  /// Ends the connection; with `reset`, as a machine that lost its power would.
  void close(bool reset = false) {
    const int socket = socket_.exchange(-1);
    if (socket < 0) return;
    if (reset) {
      const linger abort{1, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    }
    ::close(socket);
  }
  /// Wakes whoever reads or waits; for the server's end.
  void shut_down() {
    if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
  }

 private:
  bool fill() {
    char buffer[65536];
    const auto got = tls_ ? SSL_read(tls_.get(), buffer, sizeof buffer) : ::recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  std::atomic<int> socket_;
  int number_;
  std::unique_ptr<SSL, FreeWith<SSL_free>> tls_;
  std::string input_;
};

/// Listens on 127.0.0.1 and runs the script once for each connection, in a thread of its own. What scripts note down
/// with record() can be looked at afterwards.
class ScriptedServer {
 public:
  using Script = std::function<void(Peer&)>;
  using Handler = std::function<std::string(const Received&)>;

  explicit ScriptedServer(Script script, SSL_CTX* tls = nullptr) : script_(std::move(script)), tls_(tls) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL; a client that hangs up is part of the script
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 128) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("cannot listen on 127.0.0.1");
    port_ = ntohs(address.sin_port);
    accepter_ = std::thread([this] { accept(); });
  }
  ~ScriptedServer() {
    over_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    accepter_.join();
    ::close(listener_);
    {
      const std::scoped_lock lock(mutex_);
      for (const auto& peer : peers_) peer->shut_down();
    }
    for (std::thread& thread : threads_) thread.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  /// A script that answers every request of every connection with what `handler` says, and records it.
  static std::unique_ptr<ScriptedServer> answering(Handler handler, SSL_CTX* tls = nullptr) {
    auto server = std::make_shared<ScriptedServer*>(nullptr);
    auto made = std::make_unique<ScriptedServer>(
        [server, handler](Peer& peer) {
          while (std::optional<Received> request = peer.read()) {
            (*server)->record(*request);
            if (!peer.send(handler(*request))) break;
          }
        },
        tls);
    *server = made.get();
    return made;
  }

  std::uint16_t port() const noexcept { return port_; }
  http::Origin origin() const { return {tls_ != nullptr ? "https" : "http", "127.0.0.1", port_}; }
  std::string url() const { return origin().scheme + "://" + origin().authority(); }
  int connections() const noexcept { return connections_; }
  void record(Received request) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(std::move(request));
  }
  std::vector<Received> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

 private:
  void accept() {
    while (!over_) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) break;
      const int one = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      auto peer = std::make_shared<Peer>(socket, connections_++);
      const std::scoped_lock lock(mutex_);
      peers_.push_back(peer);
      threads_.emplace_back([this, peer] {
        if (tls_ == nullptr || peer->start_tls(tls_)) script_(*peer);
        const std::scoped_lock closing(mutex_);
        peer->close();
      });
    }
  }

  Script script_;
  SSL_CTX* tls_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> over_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Peer>> peers_;  // guarded by mutex_
  std::vector<Received> requests_;            // guarded by mutex_
  std::vector<std::thread> threads_;          // used by accepter_, then by the destructor
  std::thread accepter_;
};

}  // namespace bale::testing
