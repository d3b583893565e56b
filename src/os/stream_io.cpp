#include "os/stream_io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <system_error>

#include "base/error.hpp"
#include "os/signals.hpp"

namespace bale::os {

bool wait_ready(int fd, short events, Milliseconds most) noexcept {
  pollfd poll{fd, events, 0};
  const int ready = ::poll(&poll, 1, static_cast<int>(std::max(most, Milliseconds{0}).count()));
  return ready > 0 || (ready < 0 && errno != EINTR);
}

std::size_t most_at_once(int fd) noexcept {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || S_ISREG(info.st_mode)) return SIZE_MAX;
  int unread = 0;
  if (!S_ISFIFO(info.st_mode) || ::ioctl(fd, FIONREAD, &unread) != 0 || unread > 0) return PIPE_BUF;
  return static_cast<std::size_t>(std::max(::fcntl(fd, F_GETPIPE_SZ), PIPE_BUF));
}

std::size_t read_stream(int fd, MutableBytes bytes, const std::stop_token& stop, const char* name) {
  const auto check = [&] {
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
  };
  for (;;) {
    check();
    if (!wait_ready(fd, POLLIN)) continue;
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) {
      throw Error(ErrorKind::unavailable,
                  std::string("cannot read ") + name + ": " + std::generic_category().message(errno));
    }
    if (got == 0) {
      // Ctrl-C goes to the whole pipeline: it may have ended the producer before this process has noticed the signal.
      notice_signals();
      check();
    }
    return static_cast<std::size_t>(got);
  }
}

void open_closed_standard_streams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is taken, which is this one: those below are open.
    static_cast<void>(::open("/dev/null", O_WRONLY));
  }
}

}  // namespace bale::os
