#include "os/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <mutex>
#include <string>
#include <system_error>

#include "base/error.hpp"
#include "os/signals.hpp"

namespace bale::os {
namespace {

using std::chrono::steady_clock;

/// How long a reader may take nothing: of the log, and of anything once the program was asked to end.
constexpr Milliseconds log_patience{1'000}, last_patience{2'000};
/// How soon a request to end is noticed.
constexpr Milliseconds longest_wait{100};

/// A standard stream. No write blocks for longer than it may: a pipe whose reader takes nothing would keep the program
/// from ending. Not thread-safe.
class Stream {
 public:
  enum class Result { done, failed, dropped };

  explicit Stream(int fd) : fd_(fd) {}

  /// errno says why it failed.
  Result write(std::string_view text, bool is_log) {
    const std::string whole = is_torn_ ? "\n" + std::string(text) : std::string();
    std::string_view left = is_torn_ ? std::string_view(whole) : text;
    while (!left.empty()) {
      if (!wait_for_reader(is_log)) {
        const bool is_line_start = left.size() == text.size() && !is_torn_;
        is_torn_ = !is_line_start;
        return Result::dropped;
      }
      const ssize_t put = ::write(fd_, left.data(), std::min(left.size(), most_at_once()));
      if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (put < 0) return Result::failed;
      left.remove_prefix(static_cast<std::size_t>(put));
      is_stalled_ = false;
    }
    is_torn_ = false;
    return Result::done;
  }

 private:
  /// Waits until the stream takes bytes, or has failed, which the next write tells. False: its reader takes nothing.
  bool wait_for_reader(bool is_log) {
    auto since = steady_clock::now();
    bool is_last = false;  // the program was asked to end
    for (;;) {
      if (!is_last && stop_signal() != 0) {
        is_last = true;
        since = steady_clock::now();
      }
      Milliseconds left = longest_wait;
      if (is_log || is_last) {
        const Milliseconds patience = is_stalled_ ? Milliseconds{0} : is_log ? log_patience : last_patience;
        left = std::chrono::ceil<Milliseconds>(patience - (steady_clock::now() - since));
      }
      pollfd poll{fd_, POLLOUT, 0};
      const int ready = ::poll(&poll, 1, static_cast<int>(std::clamp(left, Milliseconds{0}, longest_wait).count()));
      if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
      if (left.count() <= 0) {
        is_stalled_ = true;
        return false;
      }
    }
  }

  /// How many bytes can be written without blocking when the stream is ready: of a pipe its capacity while it is empty,
  /// else one page (pipe(7)).
  std::size_t most_at_once() const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || S_ISREG(info.st_mode)) return SIZE_MAX;
    int unread = 0;
    if (!S_ISFIFO(info.st_mode) || ::ioctl(fd_, FIONREAD, &unread) != 0 || unread > 0) return PIPE_BUF;
    return static_cast<std::size_t>(std::max(::fcntl(fd_, F_GETPIPE_SZ), PIPE_BUF));
  }

  int fd_;
  bool is_stalled_ = false;  ///< the reader took nothing until patience was over, and nothing since
  bool is_torn_ = false;     ///< the last text was written in part
};

class SystemTerminal final : public Terminal {
 public:
  void out(std::string_view text) override {
    const std::scoped_lock lock(out_mutex_);
    const Stream::Result result = out_.write(text, false);
    if (result == Stream::Result::done) return;
    if (result == Stream::Result::dropped)
      throw Error(ErrorKind::cancelled, "nobody reads standard output any more, and the program was asked to end");
    const int code = errno;
    const Error error(ErrorKind::unavailable,
                      "cannot write to standard output: " + std::generic_category().message(code));
    throw code == EPIPE ? error.with_code("EPIPE") : error;
  }
  std::size_t in(MutableBytes bytes) override {
    for (;;) {
      const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR)
        throw Error(ErrorKind::unavailable, "cannot read standard input: " + std::generic_category().message(errno));
    }
  }
  void err(std::string_view text) override {
    const std::scoped_lock lock(err_mutex_);
    err_.write(text, false);
  }
  bool log(std::string_view line) override {
    const std::scoped_lock lock(err_mutex_);
    return err_.write(line, true) != Stream::Result::dropped;
  }
  bool err_is_terminal() const override { return ::isatty(STDERR_FILENO) == 1; }
  bool out_is_terminal() const override { return ::isatty(STDOUT_FILENO) == 1; }
  int columns() const override {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }

 private:
  std::mutex out_mutex_, err_mutex_;  ///< one text at a time
  Stream out_{STDOUT_FILENO}, err_{STDERR_FILENO};
};

}  // namespace

Terminal& system_terminal() {
  static SystemTerminal terminal;
  return terminal;
}

}  // namespace bale::os
