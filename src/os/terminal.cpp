#include "os/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.hpp"
#include "os/signals.hpp"
#include "os/stream_io.hpp"

namespace bale::os {
namespace {

using std::chrono::steady_clock;

/// How long a reader of the log may take nothing.
constexpr Milliseconds log_patience{1'000};
/// How long one text may take once the program was asked to end: it has to be over within a second, and both streams
/// may be stalled.
constexpr Milliseconds last_patience{300};

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
    last_since_.reset();
    while (!left.empty()) {
      if (!wait_for_reader(is_log)) {
        const bool is_line_start = left.size() == text.size() && !is_torn_;
        is_torn_ = !is_line_start;
        return Result::dropped;
      }
      const ssize_t put = ::write(fd_, left.data(), std::min(left.size(), most_at_once(fd_)));
      if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (put < 0) return Result::failed;
      left.remove_prefix(static_cast<std::size_t>(put));
      is_stalled_ = false;
    }
    is_torn_ = false;
    return Result::done;
  }

 private:
  /// Waits until the stream takes bytes, or has failed, which the next write tells. False: its reader takes nothing, or
  /// too little of one text once the program was asked to end.
  bool wait_for_reader(bool is_log) {
    const auto since = steady_clock::now();
    for (;;) {
      const auto now = steady_clock::now();
      if (!last_since_ && stop_signal() != 0) last_since_ = now;
      Milliseconds left = stop_interval;
      if (is_log) left = std::chrono::ceil<Milliseconds>(log_patience - (now - since));
      if (last_since_) left = std::chrono::ceil<Milliseconds>(last_patience - (now - *last_since_));
      if (is_stalled_ && (is_log || last_since_)) left = Milliseconds{0};
      if (wait_ready(fd_, POLLOUT, std::clamp(left, Milliseconds{0}, stop_interval))) return true;
      if (left.count() <= 0) {
        is_stalled_ = true;
        return false;
      }
    }
  }

  int fd_;
  bool is_stalled_ = false;  ///< the reader took nothing until patience was over, and nothing since
  bool is_torn_ = false;     ///< the last text was written in part
  /// When a wait of the present text first saw that the program was asked to end.
  std::optional<steady_clock::time_point> last_since_;
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
  std::size_t in(MutableBytes bytes, const std::stop_token& stop) override {
    return read_stream(STDIN_FILENO, bytes, stop, "standard input");
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
