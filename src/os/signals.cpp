#include "os/signals.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>

namespace bale::os {
namespace {

using std::chrono::steady_clock;

/// How long a second signal waits for what is to be cleaned up.
constexpr std::chrono::seconds patience_for_clean_up{2};

std::atomic<int> received{0};
std::atomic<int> clean_ups{0};

/// The signal of notice_signals(). Of several that are pending the lowest number is taken first, so that this one comes
/// after SIGHUP, SIGINT and SIGTERM that were sent before it.
int fence_signal() noexcept { return SIGRTMIN; }
std::atomic<bool> is_taking{false};
std::atomic<std::uint64_t> fences_sent{0}, fences_seen{0};

std::mutex one_fence;  ///< one call at a time: a fence that is seen is that of the call

void see_fence() noexcept {
  fences_seen = fences_sent.load();
  fences_seen.notify_all();
}

bool ends_process(int signal) noexcept { return signal == SIGINT || signal == SIGTERM; }

/// Ends the process when nothing is left to be cleaned up, when patience is over, or on another signal.
[[noreturn]] void end_after_clean_up(const sigset_t& signals, int signal) {
  const auto deadline = steady_clock::now() + patience_for_clean_up;
  while (clean_ups.load() > 0 && steady_clock::now() < deadline) {
    const timespec pause{0, 10'000'000};
    const int another = ::sigtimedwait(&signals, nullptr, &pause);
    if (another == fence_signal()) see_fence();
    if (ends_process(another)) break;
  }
  ::_exit(128 + signal);
}

/// Signals are taken by one thread with sigwait: no handler runs anywhere, so there is nothing that a handler may not
/// do.
void wait_for_signals(sigset_t signals, std::stop_source stop) {
  bool ends = false;  // whether the next SIGINT or SIGTERM ends the process
  for (;;) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (signal == fence_signal()) {
      see_fence();
      continue;
    }
    if (ends_process(signal) && std::exchange(ends, true)) end_after_clean_up(signals, signal);
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
    sigaddset(&signals, fence_signal());
    if (!is_ignored(SIGHUP)) sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    std::thread(wait_for_signals, signals, stop).detach();
    is_taking = true;
    return true;
  }();
  static_cast<void>(started);
  return stop.get_token();
}

void notice_signals() noexcept {
  if (!is_taking) return;
  const std::scoped_lock lock(one_fence);
  const std::uint64_t own = ++fences_sent;
  if (::kill(::getpid(), fence_signal()) != 0) return;
  for (std::uint64_t seen = fences_seen; seen < own; seen = fences_seen) fences_seen.wait(seen);
}

CleanUp::CleanUp() noexcept { ++clean_ups; }
CleanUp::~CleanUp() { --clean_ups; }

void end_at_once(int status) noexcept { ::_exit(status); }

int stop_signal() noexcept { return received.load(); }

}  // namespace bale::os
