// One connection of a scripted S3 server: bytes in, bytes out, pauses. And the chunks that bodies come in.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "support/test_certificate.hpp"

namespace bale::testing::s3 {

/// A connected socket, owned. Used by one thread; shut_down() by any.
class Wire {
 public:
  /// `over` is borrowed: once it is true, every wait ends.
  Wire(int socket, const std::atomic<bool>& over) : socket_(socket), over_(over) {}
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// From now on the connection speaks TLS; returns false when the handshake fails.
  bool start_tls(SSL_CTX* context);
  /// Returns a head with its empty line; absent when the client goes first, or sends more than 1 MiB.
  std::optional<std::string> read_head();
  /// Returns 1 to `most` bytes; empty when the client has gone.
  std::string read_some(std::size_t most);
  /// Puts back what was read too much.
  void unread(std::string bytes) { input_.insert(0, bytes); }
  /// Returns false once the client has gone.
  bool send(std::string_view bytes);
  /// Waits; returns false when the client, or the server, goes first.
  bool pause(std::chrono::duration<double> time);
  /// Makes the system take little from the client beyond what is read.
  void receive_little();
  /// Makes the system take little for the client beyond what it reads.
  void send_little();
  /// Tells the client that nothing more comes, and reads what it sends until it goes, for two seconds at most.
  void end();
  /// Ends the connection as a machine does that has lost its power, once this object goes.
  void reset_at_end();
  void shut_down();

 private:
  int socket_;
  const std::atomic<bool>& over_;
  std::unique_ptr<SSL, FreeWith<SSL_free>> tls_;
  std::string input_;
};

/// Slows a stream to so many bytes a second.
class Pace {
 public:
  explicit Pace(double bytes_per_second) : rate_(bytes_per_second) {}
  /// The most bytes to take at once, so that the stream is even.
  std::size_t step() const;
  /// Waits until `bytes` more may have gone; returns false when the client goes first.
  bool wait(Wire& wire, std::size_t bytes);

 private:
  double rate_;
  double bytes_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Takes a body in chunks apart: Transfer-Encoding: chunked, and aws-chunked, whose chunks may have signatures.
class Chunks {
 public:
  /// Gives the data among `bytes` to `take`; returns how many of `bytes` belong to the body.
  std::size_t feed(std::string_view bytes, const std::function<void(std::string_view)>& take);
  bool done() const noexcept { return state_ == State::done; }
  /// By their names in lower case; complete once done().
  const std::map<std::string, std::string>& trailers() const noexcept { return trailers_; }

 private:
  enum class State { size, data, after_data, trailer, done };
  void end_line();

  State state_ = State::size;
  std::string line_;
  ByteCount left_ = 0;
  std::map<std::string, std::string> trailers_;
};

}  // namespace bale::testing::s3
