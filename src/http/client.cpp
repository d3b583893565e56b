#include "http/client.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "http/failure.hpp"
#include "http/pool.hpp"

namespace bale::http {
namespace {

using std::chrono::steady_clock;

/// From here on a body waits for "100 Continue", so that a refusal or a redirect does not cost its bytes.
constexpr ByteCount expect_continue_bytes = 1 << 20;
/// Up to here a body in one piece leaves together with the head, in one packet (libcurl's MAX_INITIAL_POST_SIZE).
constexpr ByteCount inline_body_bytes = 64 << 10;
/// What libcurl reads from and writes to a socket at a time. Larger than a socket's buffer brings nothing.
constexpr long receive_buffer_bytes = 256 << 10;
constexpr long small_receive_buffer_bytes = 16 << 10;
constexpr ByteCount send_buffer_bytes = 512 << 10;
/// Bytes that came in but nobody has asked for yet; beyond, libcurl is told to wait.
constexpr std::size_t max_unread_bytes = 512 << 10;
/// A poll ends at least this often. Whoever wants the exchange to end earlier wakes it.
constexpr Milliseconds longest_poll{60'000};

/// More than any service sends, "100 Continue" included.
constexpr ByteCount most_head_bytes = 256 << 10;

std::string pool_key(const Origin& origin) { return origin.scheme + "://" + origin.authority(); }

/// Whether the server behind the connection is able to answer the next request. Behind a load balancer a connection
/// leads to one server: as long as it is reused, a server that fails is asked again and again.
bool is_healthy(int status) noexcept {
  constexpr int request_timeout = 408, too_many_requests = 429, first_server_error = 500;
  return status < first_server_error && status != request_timeout && status != too_many_requests;
}

}  // namespace

struct Client::State {
  State(Settings settings, os::Clock& the_clock) : pool(std::move(settings), the_clock), clock(the_clock) {}
  Pool pool;
  os::Clock& clock;
};

Client::Client(Settings settings, os::Clock& clock) : state_(std::make_unique<State>(std::move(settings), clock)) {}
Client::~Client() = default;

void Client::close_idle(const Origin& origin) { state_->pool.close_idle(pool_key(origin)); }

void Client::close_all_idle() { state_->pool.close_all_idle(); }

struct Exchange::State {
  State(Client::State& client_state, const Deadlines& given, std::stop_token token)
      : client(client_state), deadlines(given), stop(std::move(token)) {}
  ~State() { release(false); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void start(const Request& request, Body* the_body);
  template <typename Enough>
  void drive(const Enough& enough);
  std::size_t read(MutableBytes bytes);
  void drain(const Sink& the_sink);

  void set_request(const Request& request);
  void set_body(Method method);
  void set_header_lines(const Request& request);
  void finish(CURLcode result);
  [[noreturn]] void fail(std::exception_ptr why);
  [[noreturn]] void fail(const Error& why) { fail(std::make_exception_ptr(why)); }
  void release(bool keep);
  void resume();
  void note_progress(steady_clock::time_point now);
  Milliseconds check_time(steady_clock::time_point now);
  [[noreturn]] void give_up(const std::string& why);
  template <typename Work>
  auto callers_time(const Work& work);

  std::size_t take_header_line(std::string_view line);
  std::size_t take_body(ByteView bytes);
  std::size_t give_body(MutableBytes bytes);

  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_read(char* bytes, std::size_t size, std::size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_ready(void* self, char*, char*, int, int);

  Client::State& client;
  const Deadlines deadlines;
  const std::stop_token stop;

  Body* body = nullptr;
  bool may_repeat = true;
  std::string origin, url;
  std::string where;                     // "GET https://host/path", without the query: it may hold a signature
  std::string header_text;               // the lines of `header_lines`, each ended by NUL
  std::vector<curl_slist> header_lines;  // points into header_text

  std::unique_ptr<Handle> handle;
  struct Waker {
    CURLM* multi;
    void operator()() const noexcept { curl_multi_wakeup(multi); }
  };
  std::optional<std::stop_callback<Waker>> waker;

  AnswerHead head;
  bool head_complete = false, over = false, paused = false;
  ByteCount head_bytes = 0;  // of all heads
  int attempts = 0;
  std::exception_ptr callback_failure;  // of the caller's body or sink
  std::exception_ptr failure;           // why the exchange ended early
  ByteCount body_given = 0;
  Progress progress;

  MutableBytes target;         // where the next bytes of the body go ...
  std::size_t filled = 0;      // ... and how many are there
  const Sink* sink = nullptr;  // or whom they are given to
  std::string unread;          // else they wait here
  std::size_t unread_offset = 0;

  steady_clock::time_point started, noted;      // noted: when note_progress() was last called
  steady_clock::duration silent{0}, behind{0};  // waits for the network, see Deadlines
  steady_clock::duration callers{0};            // spent in the caller's body and sink since `noted`
  ByteCount noted_bytes = 0;                    // sent and received until then
};

// --- Setting up -----------------------------------------------------------------------------------------------------

void Exchange::State::start(const Request& request, Body* the_body) {
  body = the_body;
  may_repeat = request.may_repeat;
  origin = pool_key(request.origin);
  url = url_of(request);
  where = std::string(to_string(request.method)) + " " + origin + request.path;
  handle = client.pool.take(origin);
  handle->clear_detail();
  set_request(request);
  set_body(request.method);
  set_header_lines(request);
  started = client.clock.steady();
  curl_multi_add_handle(handle->multi(), handle->easy());
  waker.emplace(stop, Waker{handle->multi()});
}

void Exchange::State::set_request(const Request& request) {
  CURL* easy = handle->easy();
  const Proxy& proxy = client.pool.proxy(request.origin.is_tls());
  const auto or_null = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROXY, proxy.url.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, no_proxy_for(request.origin, client.pool.settings().no_proxy).c_str());
  curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, or_null(proxy.user));
  curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, or_null(proxy.password));
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);  // undoes what an earlier request set
  curl_easy_setopt(easy, CURLOPT_NOBODY, request.method == Method::head ? 1L : 0L);
  const bool named = request.method == Method::get || request.method == Method::head;
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, named ? nullptr : to_string(request.method).data());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(deadlines.connect.count()));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                   request.method == Method::get ? receive_buffer_bytes : small_receive_buffer_bytes);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &State::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &State::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &State::on_ready);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
}

void Exchange::State::set_body(Method method) {
  CURL* easy = handle->easy();
  if (body == nullptr && method != Method::put && method != Method::post) return;
  const ByteCount size = body == nullptr ? 0 : body->size();
  if (size > 0 && size < inline_body_bytes) {
    const ByteView whole = body->next(size);
    if (whole.size() == size) {
      body->sent(size);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(whole.data()));
      return;
    }
    body->rewind();
  }
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE,
                   static_cast<long>(std::clamp<ByteCount>(size, inline_body_bytes, send_buffer_bytes)));
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, &State::on_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, this);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &State::on_seek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, this);
}

/// The nodes of libcurl's list point into one string: two allocations for all headers.
void Exchange::State::set_header_lines(const Request& request) {
  std::vector<std::size_t> starts;
  const auto add = [&](std::string_view name, std::string_view separator, std::string_view value) {
    starts.push_back(header_text.size());
    header_text += name;
    header_text += separator;
    header_text += value;
    header_text += '\0';
  };
  header_text.reserve(64 * (request.headers.size() + 2));
  for (const Header& header : request.headers) {
    // What would start another header, or end the line for libcurl, is never sent.
    for (const std::string* text : {&header.name, &header.value}) {
      if (text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        throw Error(ErrorKind::invalid, "a header holds a line end", where);
    }
    if (header.value.empty())
      add(header.name, ";", "");  // libcurl's way to send an empty value
    else
      add(header.name, ": ", header.value);
  }
  // Servers wait for the body of a DELETE that does not say that it has none. (libcurl says it of PUT and POST.)
  if (body == nullptr && request.method == Method::del) add("Content-Length", ": ", "0");
  const bool large = body != nullptr && body->size() >= expect_continue_bytes;
  add("Expect", ":", large ? " 100-continue" : "");
  if (request.headers.find("content-type") == nullptr) add("Content-Type", ":", "");  // libcurl would make one up
  if (request.headers.find("accept") == nullptr) add("Accept", ":", "");
  header_lines.resize(starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    header_lines[i].data = header_text.data() + starts[i];
    header_lines[i].next = i + 1 < starts.size() ? &header_lines[i + 1] : nullptr;
  }
  curl_easy_setopt(handle->easy(), CURLOPT_HTTPHEADER, header_lines.data());
}

// --- Letting libcurl work -------------------------------------------------------------------------------------------

/// Until `enough`, or until the transfer is over; failures are thrown.
template <typename Enough>
void Exchange::State::drive(const Enough& enough) {
  if (failure) std::rethrow_exception(failure);  // what was cut short never looks like an end
  noted = client.clock.steady();                 // the time that the caller took does not count
  silent = callers = {};
  while (!over && !enough()) {
    if (stop.stop_requested()) fail(Error(ErrorKind::cancelled, "interrupted", where));
    int running = 0;
    curl_multi_perform(handle->multi(), &running);
    int left = 0;
    if (running == 0) {
      const CURLMsg* message = curl_multi_info_read(handle->multi(), &left);
      if (message != nullptr && message->msg == CURLMSG_DONE) finish(message->data.result);
    }
    if (over) break;
    if (enough()) {
      note_progress(client.clock.steady());
      break;
    }
    const Milliseconds wait = check_time(client.clock.steady());
    curl_multi_poll(handle->multi(), nullptr, 0, static_cast<int>(wait.count()), nullptr);
  }
}

/// Counts the bytes that moved and the time that was spent waiting for the network since the last call.
void Exchange::State::note_progress(steady_clock::time_point now) {
  curl_off_t uploaded = 0;
  curl_easy_getinfo(handle->easy(), CURLINFO_SIZE_UPLOAD_T, &uploaded);
  progress.sent = std::max(progress.sent, static_cast<ByteCount>(uploaded));
  const ByteCount moved = progress.sent + progress.received - noted_bytes;
  const auto waited = std::max(now - noted - callers, steady_clock::duration{0});
  noted = now;
  noted_bytes += moved;
  callers = {};
  if (!progress.connected) return;  // which has a deadline of its own
  silent = moved > 0 ? steady_clock::duration{0} : silent + waited;
  const std::chrono::duration<double> justified{static_cast<double>(moved) /
                                                static_cast<double>(std::max<ByteCount>(deadlines.least_rate, 1))};
  behind = justified >= behind + waited
               ? steady_clock::duration{0}
               : behind + waited - std::chrono::duration_cast<steady_clock::duration>(justified);
}

/// Runs what the caller gave, and keeps its time from being counted as the network's.
template <typename Work>
auto Exchange::State::callers_time(const Work& work) {
  struct Measure {
    State& state;
    steady_clock::time_point from = state.client.clock.steady();
    ~Measure() { state.callers += state.client.clock.steady() - from; }
  } const measure{*this};
  return work();
}

/// How long to wait for the network at most. Throws Error{timeout} when a deadline has passed.
Milliseconds Exchange::State::check_time(steady_clock::time_point now) {
  note_progress(now);
  Milliseconds wait = longest_poll;
  const auto check = [&](Milliseconds limit, steady_clock::duration passed, const auto& what) {
    if (limit.count() == 0) return;
    const auto left = std::chrono::ceil<Milliseconds>(limit - passed);
    if (left.count() <= 0) give_up(what());
    wait = std::min(wait, left);
  };
  check(deadlines.total, now - started,
        [&] { return "the answer was not complete for " + format_duration(deadlines.total); });
  check(deadlines.idle, silent, [&] { return "the service was silent for " + format_duration(deadlines.idle); });
  check(deadlines.slack, behind, [&] {
    return "the service was slower than " + format_bytes(deadlines.least_rate) + " per second for " +
           format_duration(deadlines.slack);
  });
  return wait;
}

void Exchange::State::give_up(const std::string& why) {
  client.pool.close_idle(origin);
  fail(Error(ErrorKind::timeout, why, where,
             "check the network, and what stands between this machine and the service; then try again"));
}

void Exchange::State::finish(CURLcode result) {
  note_progress(client.clock.steady());
  over = true;
  if (result == CURLE_OK && head_complete) {
    release(true);
    return;
  }
  if (result == CURLE_OK) result = CURLE_GOT_NOTHING;  // libcurl takes a head that was cut for a head
  if (callback_failure) fail(callback_failure);
  client.pool.close_idle(origin);
  long verified = 0;
  curl_easy_getinfo(handle->easy(), CURLINFO_SSL_VERIFYRESULT, &verified);
  fail(to_error(result, handle->detail(), where, verified));
}

void Exchange::State::fail(std::exception_ptr why) {
  failure = std::move(why);
  release(false);
  std::rethrow_exception(failure);
}

/// Ends the transfer. With `keep` the connection stays open, in the handle, for the next request: its answer was read
/// to the end. The connection is closed all the same if the answer says that the server behind it fails, and with it
/// all idle ones.
void Exchange::State::release(bool keep) {
  if (handle == nullptr) return;
  over = true;
  waker.reset();
  curl_multi_remove_handle(handle->multi(), handle->easy());  // closes the connection of an unfinished transfer
  const bool healthy = is_healthy(head.status);
  if (!healthy) client.pool.close_idle(origin);
  if (keep && healthy) client.pool.give_back(origin, std::move(handle));
  handle.reset();
}

// --- What libcurl calls back ----------------------------------------------------------------------------------------

std::size_t Exchange::State::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  return static_cast<State*>(self)->take_header_line({bytes, size * count});
}

std::size_t Exchange::State::take_header_line(std::string_view line) {
  progress.received += line.size();
  head_bytes += line.size();
  if (head_bytes > most_head_bytes) {
    callback_failure = std::make_exception_ptr(
        Error(ErrorKind::corrupt, "the headers are longer than " + format_bytes(most_head_bytes), where));
    return 0;
  }
  const std::size_t taken = line.size();
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // a new head: after "100 Continue", or of another attempt
    head = {};
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view digits = line.substr(std::min(space + 1, line.size()));
    std::from_chars(digits.data(), digits.data() + digits.size(), head.status);
  } else if (line.empty()) {
    if (head.status >= 200) head_complete = true;
  } else if (!head_complete) {  // else a trailer of a chunked body
    const std::size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    head.headers.add(std::string(line.substr(0, colon)), std::string(value));
  }
  return taken;
}

std::size_t Exchange::State::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  return static_cast<State*>(self)->take_body({reinterpret_cast<const std::byte*>(bytes), size * count});
}

std::size_t Exchange::State::take_body(ByteView bytes) {
  if (unread.size() - unread_offset >= max_unread_bytes) {
    paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  progress.received += bytes.size();
  if (sink != nullptr) {
    try {
      callers_time([&] { (*sink)(bytes); });
      return bytes.size();
    } catch (...) {
      callback_failure = std::current_exception();
      return 0;
    }
  }
  const std::size_t direct = std::min(bytes.size(), target.size() - filled);
  if (direct > 0) std::memcpy(target.data() + filled, bytes.data(), direct);
  filled += direct;
  unread.append(as_text(bytes.subspan(direct)));
  return bytes.size();
}

std::size_t Exchange::State::on_read(char* bytes, std::size_t size, std::size_t count, void* self) {
  return static_cast<State*>(self)->give_body({reinterpret_cast<std::byte*>(bytes), size * count});
}

std::size_t Exchange::State::give_body(MutableBytes bytes) {
  if (body == nullptr) return 0;
  try {
    std::size_t given = 0;
    while (given < bytes.size()) {
      const ByteView piece = callers_time([&] { return body->next(bytes.size() - given); });
      if (piece.empty()) break;
      body_given += piece.size();
      std::memcpy(bytes.data() + given, piece.data(), piece.size());
      given += piece.size();
    }
    body->sent(given);
    if (given == 0 && body_given < body->size())
      throw Error(ErrorKind::internal, "the body is shorter than its size says", where);
    return given;
  } catch (...) {
    callback_failure = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

int Exchange::State::on_seek(void* self, curl_off_t offset, int origin) {
  State& state = *static_cast<State*>(self);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  try {
    state.body_given = 0;
    if (state.body != nullptr) state.body->rewind();
    return CURL_SEEKFUNC_OK;
  } catch (...) {
    state.callback_failure = std::current_exception();
    return CURL_SEEKFUNC_FAIL;
  }
}

/// Connected, and about to send. A second time: libcurl found a kept connection dead and has made another one, or the
/// service did not like to be asked for "100 Continue".
int Exchange::State::on_ready(void* self, char*, char*, int, int) {
  State& state = *static_cast<State*>(self);
  constexpr int expectation_failed = 417;
  state.progress.connected = true;
  if (++state.attempts > 1 && !state.may_repeat && state.head.status != expectation_failed)
    return CURL_PREREQFUNC_ABORT;
  state.head_complete = false;
  return CURL_PREREQFUNC_OK;
}

// --- Reading the body -----------------------------------------------------------------------------------------------

/// Lets a paused libcurl hand over what it has; it may call back at once.
void Exchange::State::resume() {
  if (!paused || over) return;
  paused = false;
  curl_easy_pause(handle->easy(), CURLPAUSE_CONT);
}

std::size_t Exchange::State::read(MutableBytes bytes) {
  if (bytes.empty()) return 0;
  if (unread_offset == unread.size()) {
    unread.clear();
    unread_offset = filled = 0;
    target = bytes;
    resume();
    drive([this] { return filled > 0; });
    target = {};
    return std::exchange(filled, 0);
  }
  const std::size_t taken = std::min(bytes.size(), unread.size() - unread_offset);
  std::memcpy(bytes.data(), unread.data() + unread_offset, taken);
  unread_offset += taken;
  return taken;
}

void Exchange::State::drain(const Sink& the_sink) {
  const std::string early = std::exchange(unread, {}).substr(std::exchange(unread_offset, 0));
  if (!early.empty()) the_sink(as_bytes(early));
  sink = &the_sink;
  resume();
  drive([] { return false; });
  sink = nullptr;
}

Exchange::Exchange(Client& client, const Deadlines& deadlines, std::stop_token stop)
    : state_(std::make_unique<State>(*client.state_, deadlines, std::move(stop))) {}
Exchange::~Exchange() = default;
Exchange::Exchange(Exchange&&) noexcept = default;
Exchange& Exchange::operator=(Exchange&&) noexcept = default;

const AnswerHead& Exchange::send(const Request& request, Body* body) {
  state_->start(request, body);
  state_->drive([this] { return state_->head_complete; });
  return state_->head;
}

std::size_t Exchange::read(MutableBytes bytes) { return state_->read(bytes); }
void Exchange::drain(const Sink& sink) { state_->drain(sink); }
const AnswerHead& Exchange::head() const noexcept { return state_->head; }
Progress Exchange::progress() const noexcept { return state_->progress; }

std::string Exchange::text(ByteCount most) {
  std::string text;
  drain([&](ByteView bytes) {
    if (text.size() + bytes.size() > most)
      throw Error(ErrorKind::corrupt, "the answer is longer than " + format_bytes(most), state_->where);
    text.append(as_text(bytes));
  });
  return text;
}

Answer fetch(Client& client, const Request& request, Body* body, const Deadlines& deadlines, std::stop_token stop,
             ByteCount most_bytes) {
  Exchange exchange(client, deadlines, std::move(stop));
  Answer answer{exchange.send(request, body), {}};
  answer.body = exchange.text(most_bytes);
  return answer;
}

}  // namespace bale::http
