// A small HTTP server for what operators look at: health and metrics. Alone sees cpp-httplib.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

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

/// Reads "host:port", ":port" (all addresses of the machine) or "[::1]:port"; port 0 is one that is free. Throws
/// Error{invalid}.
ListenAddress parse_listen_address(std::string_view text);

/// Answers GET and HEAD of the paths that it was made with, from threads of its own, until it is destroyed. Other paths
/// are 404, bodies are not read, a request that dawdles is dropped after 5 s, and a connection is for one request.
class Server {
 public:
  /// Called by any thread, several at a time. What it throws becomes a 500.
  using Handler = std::function<Page()>;

  /// Throws Error{unavailable} when the address cannot be listened on.
  Server(const ListenAddress& address, const std::map<std::string, Handler>& pages);
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
