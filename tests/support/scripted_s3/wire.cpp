#include "support/scripted_s3/wire.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

constexpr std::size_t most_head_bytes = 1 << 20, read_bytes = 64 << 10;
constexpr int little_bytes = 16 << 10;  // the least that keeps a loopback connection moving
constexpr int tick_ms = 20;             // how soon a wait notices that it is over

}  // namespace

Wire::~Wire() { ::close(socket_); }

bool Wire::start_tls(SSL_CTX* context) {
  tls_.reset(SSL_new(context));
  return SSL_set_fd(tls_.get(), socket_) == 1 && SSL_accept(tls_.get()) == 1;
}

std::optional<std::string> Wire::read_head() {
  for (;;) {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end != std::string::npos) {
      std::string head = input_.substr(0, end + 4);
      input_.erase(0, end + 4);
      return head;
    }
    if (input_.size() > most_head_bytes) return std::nullopt;
    std::string kept = std::move(input_);
    input_.clear();
    const std::string more = read_some(read_bytes);
    input_ = std::move(kept) + more;
    if (more.empty()) return std::nullopt;
  }
}

std::string Wire::read_some(std::size_t most) {
  if (!input_.empty()) {
    std::string bytes = input_.substr(0, most);
    input_.erase(0, bytes.size());
    return bytes;
  }
  std::string bytes(std::min(most, read_bytes), '\0');
  for (;;) {
    const ssize_t got = tls_ ? SSL_read(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                             : ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got < 0 && !tls_ && errno == EINTR) continue;
    bytes.resize(got > 0 && !over_ ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
}

bool Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int step = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
    const ssize_t sent =
        tls_ ? SSL_write(tls_.get(), bytes.data(), step) : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && !tls_ && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Wire::pause(std::chrono::duration<double> time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!over_) {
    const double left = std::chrono::duration<double, std::milli>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return true;
    pollfd poll{socket_, POLLRDHUP, 0};
    // At least a millisecond: poll() would not wait at all.
    if (::poll(&poll, 1, std::max(1, std::min(tick_ms, static_cast<int>(left)))) > 0) return false;
  }
  return false;
}

void Wire::receive_little() { ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &little_bytes, sizeof little_bytes); }
void Wire::send_little() { ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &little_bytes, sizeof little_bytes); }

void Wire::end() {
  ::shutdown(socket_, SHUT_WR);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (!over_ && std::chrono::steady_clock::now() < until) {
    pollfd poll{socket_, POLLIN, 0};
    if (::poll(&poll, 1, tick_ms) > 0 && read_some(read_bytes).empty()) return;
  }
}

void Wire::reset_at_end() {
  const linger abort{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

void Wire::shut_down() { ::shutdown(socket_, SHUT_RDWR); }

std::size_t Pace::step() const { return std::clamp<std::size_t>(static_cast<std::size_t>(rate_ / 20), 1, read_bytes); }

bool Pace::wait(Wire& wire, std::size_t bytes) {
  bytes_ += static_cast<double>(bytes);
  const auto due = begin_ + std::chrono::duration<double>(bytes_ / rate_);
  return wire.pause(due - std::chrono::steady_clock::now());
}

std::size_t Chunks::feed(std::string_view bytes, const std::function<void(std::string_view)>& take) {
  std::size_t position = 0;
  while (position < bytes.size() && state_ != State::done) {
    const std::string_view rest = bytes.substr(position);
    if (state_ == State::data) {
      const std::string_view data = rest.substr(0, std::min<ByteCount>(left_, rest.size()));
      take(data);
      left_ -= data.size();
      position += data.size();
      if (left_ == 0) state_ = State::after_data;
      continue;
    }
    const std::size_t end = rest.find('\n');
    line_ += rest.substr(0, end);
    if (end == std::string_view::npos) return bytes.size();
    position += end + 1;
    if (line_.ends_with('\r')) line_.pop_back();
    end_line();
    line_.clear();
  }
  return position;
}

void Chunks::end_line() {
  if (state_ == State::after_data) {
    state_ = State::size;  // the end of the chunk's data
  } else if (state_ == State::size) {
    left_ = std::strtoull(line_.c_str(), nullptr, 16);  // up to the ';' of a signature
    state_ = left_ > 0 ? State::data : State::trailer;
  } else if (line_.empty()) {
    state_ = State::done;
  } else if (const std::size_t colon = line_.find(':'); colon != std::string::npos) {
    const std::size_t value = std::min(line_.find_first_not_of(' ', colon + 1), line_.size());
    trailers_[to_lower(line_.substr(0, colon))] = line_.substr(value);
  }
}

}  // namespace bale::testing::s3
