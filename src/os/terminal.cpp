#include "os/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <system_error>

#include "base/error.hpp"

namespace bale::os {
namespace {

class SystemTerminal final : public Terminal {
 public:
  void out(std::string_view text) override {
    const std::scoped_lock lock(mutex_);
    if (write_all(STDOUT_FILENO, text)) return;
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
    const std::scoped_lock lock(mutex_);
    write_all(STDERR_FILENO, text);
  }
  bool err_is_terminal() const override { return ::isatty(STDERR_FILENO) == 1; }
  bool out_is_terminal() const override { return ::isatty(STDOUT_FILENO) == 1; }
  int columns() const override {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }

 private:
  static bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(fd, text.data(), text.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }
  std::mutex mutex_;  ///< one text at a time
};

}  // namespace

Terminal& system_terminal() {
  static SystemTerminal terminal;
  return terminal;
}

}  // namespace bale::os
