#include "http/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::http {
namespace {

using std::chrono::steady_clock;

/// How long a client may go on sending after its response: closing earlier would reset the connection, and the client
/// would lose the response.
constexpr Milliseconds linger_time{1'000};
constexpr ByteCount linger_bytes = 1 << 20;
/// Connections accepted before those that are open get their turn again.
constexpr int accepted_at_once = 64;
/// How long new connections wait when there is no descriptor for them.
constexpr Milliseconds accept_pause{100};

Error bad_address(std::string_view text) {
  return Error(ErrorKind::invalid, fmt::format("'{}' is not an address to listen on", escape_for_terminal(text)), {},
               "write host:port; :port means this machine only, 0.0.0.0:port all of its addresses");
}

/// A file descriptor, closed by the destructor; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

Error cannot_listen(const ListenAddress& address) {
  return Error(ErrorKind::unavailable,
               fmt::format("cannot listen on {} port {}", escape_for_terminal(address.host), address.port), "--listen",
               "is another program listening there? choose another port, or 0 for one that is free");
}

/// A socket that listens on the first address that the name stands for and the machine has.
Descriptor listen_on(const ListenAddress& address) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) != 0)
    throw cannot_listen(address);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    Descriptor socket(::socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol));
    const int yes = 1, no = 0;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (info->ai_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (::bind(socket.get(), info->ai_addr, info->ai_addrlen) == 0 && ::listen(socket.get(), SOMAXCONN) == 0)
      return socket;
  }
  throw cannot_listen(address);
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char port[NI_MAXSERV] = "";
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port, sizeof port, NI_NUMERICSERV);
  return static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10));
}

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "-";
  }
}

std::string response(const Page& page, bool with_body) {
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n",
      page.status, reason_of(page.status), page.content_type, page.body.size());
  if (page.status == 405) text += "Allow: GET, HEAD\r\n";
  text += "\r\n";
  if (with_body) text += page.body;
  return text;
}

Page refusal(int status) { return {status, "text/plain; charset=utf-8", fmt::format("{}\n", reason_of(status))}; }

struct RequestLine {
  std::string_view method, path;  ///< path without its query
};

/// The parts of "GET /path?query HTTP/1.1"; nothing if the line has another form.
std::optional<RequestLine> parse_request_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::vector<std::string_view> parts = split(line, ' ');
  if (parts.size() != 3 || parts[0].empty() || !parts[2].starts_with("HTTP/1.")) return std::nullopt;
  std::string_view target = parts[1];
  if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
    target.remove_prefix(std::min(target.find('/', scheme + 3), target.size()));
    if (target.empty()) target = "/";
  }
  return RequestLine{parts[0], target.substr(0, target.find('?'))};
}

/// Whether the text holds the headers to their end, an empty line.
bool is_complete(std::string_view head) {
  return head.find("\r\n\r\n") != std::string_view::npos || head.find("\n\n") != std::string_view::npos;
}

struct Connection {
  enum class Phase { request, answer, linger, closed };
  Descriptor socket;
  steady_clock::time_point deadline;
  Phase phase = Phase::request;
  std::string input;   ///< of the request's head
  std::string output;  ///< what of the response is not sent yet, from `sent` on
  std::size_t sent = 0;
  ByteCount ignored = 0;  ///< received after the response
};

}  // namespace

ListenAddress parse_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  ListenAddress address;
  std::string_view host = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != std::string_view::npos) throw bad_address(text);
  address.host = host.empty() ? "127.0.0.1" : std::string(host);
  const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (problem != std::errc() || end != port.data() + port.size()) throw bad_address(text);
  return address;
}

struct Server::State {
  State(const ListenAddress& address, std::map<std::string, Handler> the_pages, os::Clock& the_clock,
        const ServerLimits& the_limits)
      : pages(std::move(the_pages)),
        clock(the_clock),
        limits(the_limits),
        wake(::eventfd(0, EFD_CLOEXEC)),
        listener(listen_on(address)),
        port(port_of(listener.get())) {}

  void run(const std::stop_token& stop);
  Milliseconds time_left(steady_clock::time_point now) const;
  void accept_some();
  int accept_one();
  void drop_nearest();
  void serve(Connection& connection);
  void read_request(Connection& connection);
  void answer(Connection& connection);
  Page page_of(const Handler& handler) const;
  void start_answer(Connection& connection, const Page& page, bool with_body);
  void write(Connection& connection);
  void linger(Connection& connection);

  const std::map<std::string, Handler> pages;
  os::Clock& clock;
  const ServerLimits limits;
  const Descriptor wake, listener;
  const std::uint16_t port;
  Descriptor spare;  ///< closed to accept a connection when the process has no other descriptor left
  std::vector<Connection> connections;
  steady_clock::time_point paused_until{};
  std::jthread thread;  // last: it uses the others
};

void Server::State::run(const std::stop_token& stop) {
  std::vector<pollfd> polled;
  while (!stop.stop_requested()) {
    if (!spare.is_open()) spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const bool accepts = clock.steady() >= paused_until;
    polled = {{wake.get(), POLLIN, 0}, {listener.get(), static_cast<short>(accepts ? POLLIN : 0), 0}};
    for (const Connection& connection : connections) {
      const bool writes = connection.phase == Connection::Phase::answer;
      polled.push_back({connection.socket.get(), static_cast<short>(writes ? POLLOUT : POLLIN), 0});
    }
    ::poll(polled.data(), polled.size(), static_cast<int>(time_left(clock.steady()).count()));
    const auto now = clock.steady();
    for (std::size_t i = 0; i < connections.size(); ++i) {
      if (polled[i + 2].revents != 0) serve(connections[i]);
      if (connections[i].deadline <= now) connections[i].phase = Connection::Phase::closed;
    }
    std::erase_if(connections, [](const Connection& c) { return c.phase == Connection::Phase::closed; });
    if ((polled[1].revents & POLLIN) != 0) accept_some();
  }
}

/// Until the first deadline.
Milliseconds Server::State::time_left(steady_clock::time_point now) const {
  Milliseconds left{60'000};
  const auto until = [&](steady_clock::time_point time) {
    left = std::clamp(std::chrono::ceil<Milliseconds>(time - now), Milliseconds{0}, left);
  };
  for (const Connection& connection : connections) until(connection.deadline);
  if (paused_until > now) until(paused_until);
  return left;
}

void Server::State::accept_some() {
  for (int i = 0; i < accepted_at_once; ++i) {
    const int socket = accept_one();
    if (socket < 0) return;
    if (connections.size() >= limits.connections) drop_nearest();
    Connection& connection = connections.emplace_back();
    connection.socket = Descriptor(socket);
    connection.deadline = clock.steady() + limits.request_time;
    serve(connection);  // most requests are there already
  }
}

/// The next connection, or -1.
int Server::State::accept_one() {
  const auto accept = [this] { return ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); };
  int socket = accept();
  if (socket >= 0 || errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return socket;
  // Out of descriptors, or of memory: which accept4() also tells where nobody waits.
  pollfd waiting{listener.get(), POLLIN, 0};
  if (::poll(&waiting, 1, 0) <= 0) return -1;
  if (!connections.empty())
    drop_nearest();
  else
    spare.close();
  socket = accept();
  if (socket < 0) paused_until = clock.steady() + accept_pause;
  return socket;
}

/// Closes the connection whose deadline is the nearest: one that was answered, else the one that took longest.
void Server::State::drop_nearest() {
  const auto nearest =
      std::min_element(connections.begin(), connections.end(),
                       [](const Connection& a, const Connection& b) { return a.deadline < b.deadline; });
  if (nearest != connections.end()) connections.erase(nearest);
}

void Server::State::serve(Connection& connection) {
  if (connection.phase == Connection::Phase::request) read_request(connection);
  if (connection.phase == Connection::Phase::answer) write(connection);
  if (connection.phase == Connection::Phase::linger) linger(connection);
}

void Server::State::read_request(Connection& connection) {
  char buffer[4096];
  while (connection.input.size() <= limits.head_bytes) {
    const ssize_t got = ::recv(connection.socket.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      connection.phase = Connection::Phase::closed;
      return;
    }
    connection.input.append(buffer, static_cast<std::size_t>(got));
    if (is_complete(connection.input)) return answer(connection);
  }
  start_answer(connection, refusal(431), true);
}

void Server::State::answer(Connection& connection) {
  const std::string_view head = connection.input;
  const std::optional<RequestLine> line = parse_request_line(head.substr(0, head.find('\n')));
  if (!line) return start_answer(connection, refusal(400), true);
  const bool is_head = line->method == "HEAD";
  if (line->method != "GET" && !is_head) return start_answer(connection, refusal(405), true);
  const auto found = pages.find(std::string(line->path));
  start_answer(connection, found == pages.end() ? refusal(404) : page_of(found->second), !is_head);
}

Page Server::State::page_of(const Handler& handler) const {
  try {
    return handler();
  } catch (const std::exception&) {
    return refusal(500);
  }
}

void Server::State::start_answer(Connection& connection, const Page& page, bool with_body) {
  connection.input = {};
  connection.output = response(page, with_body);
  connection.phase = Connection::Phase::answer;
  connection.deadline = clock.steady() + limits.answer_time;
}

void Server::State::write(Connection& connection) {
  while (connection.sent < connection.output.size()) {
    const ssize_t put = ::send(connection.socket.get(), connection.output.data() + connection.sent,
                               connection.output.size() - connection.sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) {
      connection.phase = Connection::Phase::closed;
      return;
    }
    connection.sent += static_cast<std::size_t>(put);
  }
  ::shutdown(connection.socket.get(), SHUT_WR);
  connection.output = {};
  connection.phase = Connection::Phase::linger;
  connection.deadline = clock.steady() + linger_time;
}

/// Takes what the client still sends, a piece at a time so that others get their turn, until it closes.
void Server::State::linger(Connection& connection) {
  char buffer[16 << 10];
  const ssize_t got = ::recv(connection.socket.get(), buffer, sizeof buffer, 0);
  if (got > 0) connection.ignored += static_cast<ByteCount>(got);
  const bool goes_on = got > 0 ? connection.ignored < linger_bytes : got < 0 && (errno == EAGAIN || errno == EINTR);
  if (goes_on) return;
  connection.phase = Connection::Phase::closed;
}

Server::Server(const ListenAddress& address, std::map<std::string, Handler> pages, os::Clock& clock,
               const ServerLimits& limits)
    : state_(std::make_unique<State>(address, std::move(pages), clock, limits)) {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

Server::~Server() {
  state_->thread.request_stop();
  ::eventfd_write(state_->wake.get(), 1);
}

std::uint16_t Server::port() const noexcept { return state_->port; }

}  // namespace bale::http
