#include "os/signals.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <utility>

namespace bale::os {
namespace {

std::atomic<int> received{0};

/// Signals are taken by one thread with sigwait: no handler runs anywhere, so there is nothing that a handler may not
/// do.
void wait_for_signals(sigset_t signals, std::stop_source stop) {
  bool ends = false;  // whether the next SIGINT or SIGTERM ends the process
  for (;;) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP && std::exchange(ends, true)) ::_exit(128 + signal);
    int none = 0;
    received.compare_exchange_strong(none, signal);
    stop.request_stop();
  }
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

std::stop_token stop_on_signals() {
  static std::stop_source stop;
  static const bool started = [] {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (!is_ignored(SIGHUP)) sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::thread(wait_for_signals, signals, stop).detach();
    return true;
  }();
  static_cast<void>(started);
  return stop.get_token();
}

void end_at_once(int status) noexcept { ::_exit(status); }

int stop_signal() noexcept { return received.load(); }

}  // namespace bale::os
