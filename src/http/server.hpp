// A small HTTP server for what operators look at: health and metrics. It is safe to expose to strangers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "os/clock.hpp"

namespace bale::http {

/// What a page says.
struct Page {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Where to listen.
struct ListenAddress {
  std::string host;  ///< name or address, without brackets
  std::uint16_t port = 0;
};

/// Reads "host:port", "[::1]:port", or ":port" and "port", which mean 127.0.0.1; port 0 is one that is free. All
/// addresses of the machine are "0.0.0.0:port" or "[::]:port". Throws Error{invalid}.
ListenAddress parse_listen_address(std::string_view text);

/// What one server spends on all its clients together.
struct ServerLimits {
  std::size_t connections = 256;     ///< open at the same time
  ByteCount head_bytes = 16 << 10;   ///< request line and headers of a request; bodies are not read
  Milliseconds request_time{5'000};  ///< from the connection to the end of the headers
  Milliseconds answer_time{5'000};   ///< until the client has taken the response
};

/// Answers GET and HEAD of the paths that it was made with, from one thread, until it is destroyed. One request per
/// connection. Other paths are 404, other methods 405, headers beyond the limit 431.
///
/// A client that is slow or silent keeps nobody waiting: no call blocks, and where connections run out the one nearest
/// to its deadline is closed for a new one, also when the process has no file descriptor left.
class Server {
 public:
  /// Called by the server's thread. What it throws becomes a 500. It must not wait for anything.
  using Handler = std::function<Page()>;

  /// `clock` measures the limits on time; borrowed. Throws Error{unavailable} if the address cannot be listened on.
  Server(const ListenAddress& address, std::map<std::string, Handler> pages, os::Clock& clock,
         const ServerLimits& limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The port listened on, also where 0 was asked for.
  std::uint16_t port() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bale::http
