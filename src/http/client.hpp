// One request, one streamed answer, over pooled connections. The only module that sees libcurl.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/bytes.hpp"
#include "http/message.hpp"
#include "http/settings.hpp"
#include "os/clock.hpp"

namespace bale::http {

/// The connections of a program. Thread-safe; one is enough. It outlives its exchanges.
class Client {
 public:
  /// `clock` measures deadlines; borrowed.
  Client(Settings settings, os::Clock& clock);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Closes the connections to a server that wait for their next request: the next one is sent over a new connection,
  /// which a balancer may lead to another server. For callers that find an answer wrong whose status is not.
  void close_idle(const Origin& origin);
  /// The same for all servers.
  void close_all_idle();

 private:
  friend class Exchange;
  struct State;
  std::unique_ptr<State> state_;
};

/// How far an exchange got: what a caller needs to know before trying again.
struct Progress {
  /// Whether the service may have seen anything of the request. False: it was not even connected to.
  bool connected = false;
  ByteCount sent = 0;      ///< bytes of the body that left
  ByteCount received = 0;  ///< bytes of the answer, its head included
};

/// One request and its answer. Used by one thread at a time; send() once, then read the body.
///
/// Failures are Error{unavailable} (no connection, or one that broke; a body that ended before its Content-Length),
/// {timeout}, {cancelled} when `stop` was requested, {denied} for a certificate that is not trusted, {invalid} for
/// settings that cannot work, {corrupt} for what is no HTTP. After a failure, progress() says how far it got. A status
/// is never a failure here. Nothing is tried twice, but for what Request::may_repeat describes.
class Exchange {
 public:
  using Sink = std::function<void(ByteView)>;

  explicit Exchange(Client& client, const Deadlines& deadlines = {}, std::stop_token stop = {});
  /// Gives the connection back when the body was read to its end, and closes it otherwise.
  ~Exchange();
  Exchange(Exchange&&) noexcept;
  Exchange& operator=(Exchange&&) noexcept;

  /// Sends the request and returns the answer's head as soon as it is there. `body` is borrowed until the
  /// exchange ends: an early answer may come before its last byte was sent. An exception of `body` passes through.
  /// Bodies from 1 MiB wait for the service's "100 Continue", at most a second.
  const AnswerHead& send(const Request& request, Body* body = nullptr);

  /// Reads the next bytes of the answer's body; blocks until at least one is there. 0: the end.
  std::size_t read(MutableBytes bytes);
  /// Hands the rest of the body to `sink`, piece by piece, without copying. An exception of `sink` passes through.
  void drain(const Sink& sink);
  /// The rest of the body as a string. Error{corrupt} when it is longer than `most` bytes.
  std::string text(ByteCount most);

  const AnswerHead& head() const noexcept;
  Progress progress() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An answer that was read whole.
struct Answer {
  AnswerHead head;
  std::string body;
};

/// Sends a request and reads its whole answer, of at most `most_bytes`. Throws as Exchange does.
Answer fetch(Client& client, const Request& request, Body* body, const Deadlines& deadlines, std::stop_token stop,
             ByteCount most_bytes);

}  // namespace bale::http
