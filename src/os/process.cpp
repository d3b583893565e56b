#include "os/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

using std::chrono::steady_clock;

/// How soon a stop request is noticed.
constexpr Milliseconds longest_wait{50};

/// A child process and the pipe it writes to. Destroying it kills what still runs.
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      throw Error(ErrorKind::unavailable, "cannot make a pipe: " + std::generic_category().message(errno));
    output_ = ends[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawnattr_t attributes;
    set_signals(attributes);
    const int failure = ::posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failure != 0) {
      ::close(output_);
      pid_ = -1;
      throw Error(failure == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable,
                  "cannot run the program: " + std::generic_category().message(failure),
                  escape_for_terminal(arguments[0]));
    }
  }
  ~Child() {
    ::close(output_);
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int output() const noexcept { return output_; }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  /// The child gets the signals that stop_on_signals() blocks and ignores in this process.
  static void set_signals(posix_spawnattr_t& attributes) {
    sigset_t none, defaults;
    ::sigemptyset(&none);
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::sigaddset(&defaults, SIGXFSZ);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  pid_t pid_ = -1;
  int output_ = -1;
};

class SystemProcesses final : public Processes {
 public:
  ProcessResult run(const std::vector<std::string>& arguments, Milliseconds timeout, ByteCount most_bytes,
                    std::stop_token stop) override {
    if (arguments.empty()) throw Error(ErrorKind::invalid, "there is no program to run");
    const std::string where = escape_for_terminal(arguments[0]);
    const auto deadline = steady_clock::now() + timeout;
    Child child(arguments);
    ProcessResult result;
    char buffer[4096];
    for (;;) {
      const auto left = std::chrono::ceil<Milliseconds>(deadline - steady_clock::now());
      if (left.count() <= 0)
        throw Error(ErrorKind::timeout, "the program took longer than " + format_duration(timeout), where);
      if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted", where);
      pollfd poll{child.output(), POLLIN, 0};
      if (::poll(&poll, 1, static_cast<int>(std::min(left, longest_wait).count())) <= 0) continue;
      const ssize_t got = ::read(child.output(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      result.output.append(buffer, static_cast<std::size_t>(got));
      if (result.output.size() > most_bytes)
        throw Error(ErrorKind::invalid, "the program prints more than " + format_bytes(most_bytes), where);
    }
    result.status = child.wait();
    return result;
  }
};

}  // namespace

Processes& system_processes() {
  static SystemProcesses* const processes = new SystemProcesses;
  return *processes;
}

}  // namespace bale::os
