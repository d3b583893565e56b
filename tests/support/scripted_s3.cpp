#include "support/scripted_s3.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <list>
#include <stdexcept>
#include <thread>

#include "support/scripted_s3/exchange.hpp"

namespace bale::testing {
namespace {

using nlohmann::json;
using s3::Answer;
using s3::Core;
using s3::Request;
using s3::Wire;

constexpr std::string_view own_bucket = "-";  // no bucket's name: "/-/rules" and the like are the server's own

/// Listens on a free port of 127.0.0.1.
int listen_anywhere(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 1024) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(listener);
    throw std::runtime_error("cannot listen on 127.0.0.1");
  }
  port = ntohs(address.sin_port);
  return listener;
}

void set_bucket(Core& core, const std::string& name, const json& properties) {
  const Lock lock(core.mutex);
  const bool is_new = !core.state.buckets.contains(name);
  s3::Bucket& bucket = core.state.buckets[name];
  if (is_new) {
    bucket.name = name;
    bucket.region = core.settings.region;
    bucket.owner = core.settings.account;
    bucket.created = core.state.now();
  }
  bucket.region = properties.value("region", bucket.region);
  bucket.owner = properties.value("owner", bucket.owner);
  bucket.is_foreign = properties.value("foreign", bucket.is_foreign);
  bucket.versioning = properties.value("versioning", bucket.versioning);
  if (properties.contains("versioning")) {
    bucket.documents["versioning"] =
        fmt::format("<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>", bucket.versioning);
  }
  bucket.restore_takes = std::chrono::seconds(properties.value("restore_seconds", bucket.restore_takes.count()));
  bucket.tells_restores = properties.value("tells_restores", bucket.tells_restores);
  const json archived = properties.value("archive", json::object());
  for (const auto& [key, status] : archived.items()) {
    if (s3::Version* const version = bucket.current(key)) version->archive_status = status.get<std::string>();
  }
}

json state_of(Core& core) {
  s3::State copy;
  {
    const Lock lock(core.mutex);
    copy = core.state;
  }
  return s3::describe(copy);
}

Answer json_answer(const json& value, int status = 200) {
  Answer answer;
  answer.status = status;
  answer.headers.add("Content-Type", "application/json");
  answer.body = value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
  return answer;
}

void advance(Core& core, Milliseconds time) {
  const Lock lock(core.mutex);
  core.state.advanced += time;
}

/// Answers a request for one of the server's own pages: `page` and perhaps a name behind it.
Answer own_answer(Core& core, const Request& request, const std::string& body) {
  const std::size_t slash = std::min(request.key.find('/'), request.key.size());
  const std::string page = request.key.substr(0, slash);
  const std::string name = request.key.substr(std::min(slash + 1, request.key.size()));
  const std::string& method = request.method;
  const auto given = [&] { return body.empty() ? json::object() : json::parse(body); };
  const bool is_get = method == "GET";
  try {
    if (page == "rules" && method == "PUT") core.rules.set(json::parse(body));
    if (page == "rules" && method == "POST") core.rules.add(json::parse(body));
    if (page == "rules" && method == "DELETE") core.rules.set(json::array());
    if (page == "rules") return json_answer(core.rules.list());
    if (page == "requests" && method == "DELETE") core.journal.clear();
    if (page == "requests") return json_answer(core.journal.list());
    if (page == "state" && is_get) return json_answer(state_of(core));
    if (page == "release" && method == "POST") {
      core.rules.release(name);
      return json_answer(core.rules.list());
    }
    if (page == "buckets" && method == "PUT") {
      set_bucket(core, name, given());
      return json_answer(state_of(core));
    }
    if (page == "advance" && method == "POST") {
      advance(core, Milliseconds(static_cast<std::int64_t>(given().at("seconds").get<double>() * 1000)));
      return json_answer(json::object());
    }
  } catch (const std::exception& error) {  // no JSON, no rule, no pattern
    return json_answer({{"error", error.what()}}, 400);
  }
  return json_answer({{"error", fmt::format("there is no {} /-/{}", method, request.key)}}, 404);
}

}  // namespace

struct ScriptedS3::Impl {
  /// A connection and the thread that serves it.
  struct Connection {
    Connection(int socket, const std::atomic<bool>& over) : wire(std::make_unique<Wire>(socket, over)) {}
    std::unique_ptr<Wire> wire;
    std::atomic<bool> done{false};
    std::thread thread;
  };

  Impl(s3::Settings settings, SSL_CTX* context) : tls(context) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL; a client that hangs up is nothing special
    core.settings = std::move(settings);
    listener = listen_anywhere(port);
    accepter = std::thread([this] { accept(); });
  }
  ~Impl() {
    core.over = true;
    ::shutdown(listener, SHUT_RDWR);
    accepter.join();
    ::close(listener);
    for (Connection& connection : connections) {
      {
        const Lock lock(mutex);
        if (connection.wire) connection.wire->shut_down();
      }
      connection.thread.join();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void accept() {
    for (int number = 0; !core.over; ++number) {
      const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) break;
      const int one = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      connections.remove_if([](Connection& connection) {
        if (connection.done) connection.thread.join();
        return !connection.thread.joinable();
      });
      Connection& connection = connections.emplace_back(socket, core.over);
      connection.thread = std::thread([this, &connection, number] {
        serve(*connection.wire, number);
        const Lock lock(mutex);  // the destructor may be about to shut it down
        connection.wire.reset();
        connection.done = true;
      });
    }
  }

  void serve(Wire& wire, int number) {
    if (tls != nullptr && !wire.start_tls(tls)) return;
    for (bool goes_on = true; goes_on && !core.over;) {
      const std::optional<std::string> head = wire.read_head();
      if (!head) return;
      std::optional<Request> request = s3::parse_request(*head);
      if (!request) {
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      request->connection = number;
      const bool closes = request->header("connection") == "close";
      if (request->bucket == own_bucket) {
        std::string body;
        goes_on = s3::read_plain_body(wire, *request, body) &&
                  s3::send_answer(wire, *request, own_answer(core, *request, body));
      } else {
        goes_on = s3::Exchange(core, wire, std::move(*request)).run();
      }
      goes_on = goes_on && !closes;
    }
  }

  SSL_CTX* tls;
  Core core;
  int listener = -1;
  std::uint16_t port = 0;
  Mutex mutex;                        ///< guards the wires of connections at their end
  std::list<Connection> connections;  ///< used by accepter, then by the destructor
  std::thread accepter;
};

ScriptedS3::ScriptedS3(s3::Settings settings, SSL_CTX* tls) : impl_(std::make_unique<Impl>(std::move(settings), tls)) {}
ScriptedS3::~ScriptedS3() = default;

std::uint16_t ScriptedS3::port() const noexcept { return impl_->port; }
std::string ScriptedS3::url() const {
  return fmt::format("{}://127.0.0.1:{}", impl_->tls != nullptr ? "https" : "http", port());
}

void ScriptedS3::set_rules(const json& rules) { impl_->core.rules.set(rules); }
void ScriptedS3::add_rules(const json& rules) { impl_->core.rules.add(rules); }
json ScriptedS3::rules() const { return impl_->core.rules.list(); }
std::uint64_t ScriptedS3::hits(std::string_view name) const { return impl_->core.rules.hits(name); }
void ScriptedS3::release(std::string_view name) { impl_->core.rules.release(name); }

void ScriptedS3::set_bucket(const std::string& name, const json& properties) {
  testing::set_bucket(impl_->core, name, properties);
}
void ScriptedS3::advance(Milliseconds time) { testing::advance(impl_->core, time); }

json ScriptedS3::requests() const { return impl_->core.journal.list(); }
void ScriptedS3::forget_requests() { impl_->core.journal.clear(); }
json ScriptedS3::state() const { return state_of(impl_->core); }

}  // namespace bale::testing
