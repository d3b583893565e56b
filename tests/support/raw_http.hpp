// A client of HTTP that knows nothing: for tests of servers, where a real client would mend or refuse what is odd.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "http/message.hpp"

namespace bale::testing {

/// What a server said.
struct RawAnswer {
  int status = 0;  ///< 0: not even a head came
  http::Headers headers;
  std::string body;
  bool is_whole = false;  ///< the head came, and a body as long as it says

  std::string header(std::string_view name) const { return std::string(headers.get(name)); }
};

/// One connection to a port of 127.0.0.1. Used by one thread.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
  }
  ~RawConnection() { ::close(socket_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  /// Returns false once the server has gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Reads an answer; `has_body` is false for that of a HEAD.
  RawAnswer read(bool has_body = true) {
    RawAnswer answer;
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return answer;
    }
    std::string_view head = std::string_view(input_).substr(0, end + 2);
    answer.status = std::atoi(std::string(head.substr(std::string_view("HTTP/1.1 ").size(), 3)).c_str());
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const std::size_t colon = line.find(": ");
      answer.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
    }
    input_.erase(0, end + 4);
    const std::size_t length = has_body ? std::strtoull(answer.header("content-length").c_str(), nullptr, 10) : 0;
    while (input_.size() < length && fill()) {
    }
    answer.body = input_.substr(0, length);
    answer.is_whole = answer.body.size() == length;
    input_.erase(0, answer.body.size());
    return answer;
  }

  /// Reads until the server closes the connection.
  std::string read_all() {
    while (fill()) {
    }
    return std::exchange(input_, {});
  }

 private:
  bool fill() {
    char buffer[65536];
    const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int socket_;
  std::string input_;
};

/// The request line and headers of a request with a body of `length` bytes.
inline std::string raw_head(std::string_view method, std::string_view target, const http::Headers& headers,
                            std::size_t length) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", method, target, length);
  for (const http::Header& header : headers) text += header.name + ": " + header.value + "\r\n";
  return text + "\r\n";
}

/// Asks on a connection of its own.
inline RawAnswer raw_ask(std::uint16_t port, std::string_view method, std::string_view target,
                         const http::Headers& headers = {}, std::string_view body = {}) {
  RawConnection connection(port);
  connection.send(raw_head(method, target, headers, body.size()));
  connection.send(body);
  return connection.read(method != "HEAD");
}

}  // namespace bale::testing
