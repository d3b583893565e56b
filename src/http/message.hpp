// Requests, answers and bodies of HTTP/1.1 as values. No I/O: see client.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace bale::http {

enum class Method { get, head, put, post, del };

/// "GET", "HEAD", "PUT", "POST", "DELETE".
std::string_view to_string(Method method) noexcept;

struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

/// Header fields in the order they were added; names compare without regard to case. Not thread-safe while changed.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  /// Adds a field, also when one of that name is there.
  void add(std::string name, std::string value) { fields_.push_back({std::move(name), std::move(value)}); }
  /// The only field of that name afterwards.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  void clear() noexcept { fields_.clear(); }
  /// The first field of that name; null when there is none. Valid until the next change.
  const std::string* find(std::string_view name) const noexcept;
  /// Value of the first field of that name; empty when there is none. Valid until the next change.
  std::string_view get(std::string_view name) const noexcept;

  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  std::size_t size() const noexcept { return fields_.size(); }
  friend bool operator==(const Headers&, const Headers&) = default;

 private:
  std::vector<Header> fields_;
};

/// Whether two header names are the same.
bool same_name(std::string_view a, std::string_view b) noexcept;

/// Whom a connection is made to.
struct Origin {
  std::string scheme = "https";  ///< "http" or "https"
  std::string host;              ///< a name, an IPv4 address, or an IPv6 address in brackets
  std::uint16_t port = 0;        ///< 0: the scheme's own

  bool is_tls() const noexcept { return scheme == "https"; }
  /// "host", or "host:port" where the port is not the scheme's own: what the Host header says.
  std::string authority() const;
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// "https://host:8443/path?query" in its parts.
struct Url {
  Origin origin;
  std::string path = "/";  ///< as written, still percent-encoded; starts with '/'
  std::string query;       ///< as written, without '?'
};

/// Reads an absolute http or https URL; a fragment is dropped. Throws Error{invalid} naming the text when the scheme is
/// another one, the host is missing, the port is no port, or there is a user or password in it.
Url parse_url(std::string_view text);

/// What is asked for. The client adds Host, Content-Length (0 for PUT, POST and DELETE without a body) and, for large
/// bodies, Expect.
struct Request {
  Method method = Method::get;
  Origin origin;
  std::string path = "/";  ///< percent-encoded once and sent as it is: no dot segment is taken out, no "//" merged
  std::string query;       ///< percent-encoded, without '?'
  Headers headers;
  /// Whether doing it twice is as good as once, although the first time may have worked. Decides one thing: a kept
  /// connection that turns out to be dead before anything was answered is replaced silently, and the request sent
  /// again. Otherwise that is a failure of which the caller hears.
  bool may_repeat = true;
};

std::string url_of(const Request& request);

/// The body of a request: pulled, of known size, and readable again from the start. Used by one thread at a time.
class Body {
 public:
  virtual ~Body() = default;
  virtual ByteCount size() const = 0;
  /// The next bytes, at most `most`; empty at the end. Valid until the next call.
  virtual ByteView next(std::size_t most) = 0;
  virtual void rewind() = 0;
  /// So many more of the bytes that next() gave are being sent; rewind() takes it back.
  virtual void sent(ByteCount bytes) { static_cast<void>(bytes); }
};

/// A body of pieces in memory, borrowed: they outlive it.
class SpanBody final : public Body {
 public:
  explicit SpanBody(std::vector<ByteView> pieces);
  explicit SpanBody(ByteView bytes) : SpanBody(std::vector<ByteView>{bytes}) {}
  explicit SpanBody(std::string_view text) : SpanBody(as_bytes(text)) {}
  ByteCount size() const override { return size_; }
  ByteView next(std::size_t most) override;
  void rewind() override;

 private:
  std::vector<ByteView> pieces_;
  ByteCount size_ = 0;
  std::size_t piece_ = 0, offset_ = 0;
};

/// Status line and header fields of an answer.
struct AnswerHead {
  int status = 0;
  Headers headers;
  bool is_success() const noexcept { return status >= 200 && status < 300; }
};

}  // namespace bale::http
