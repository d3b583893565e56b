// Reads that wait for the network, each answered once, and none kept waiting for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <thread>

#include "base/mutex.hpp"
#include "os/clock.hpp"

struct fuse_req;

namespace bale::mount {

/// Requests of the kernel that are answered later. One whose process was interrupted is answered with EINTR some
/// seconds later, whatever its work is waiting for: at once would break programs that take signals in passing (timers,
/// SIGCHLD), and never would make a killed process wait as long as the network does. Thread-safe.
class PendingReads {
 public:
  using Request = struct fuse_req*;
  struct Pending {
    Request request;
    bool answered = false;
    std::optional<std::chrono::steady_clock::time_point> interrupted;
  };

  /// `clock` is borrowed. `grace`: how long an interrupted read may go on.
  PendingReads(os::Clock& clock, Milliseconds grace);
  /// Everything must have been answered or given up.
  ~PendingReads() = default;

  /// From now on the request is watched.
  std::shared_ptr<Pending> begin(Request request);
  /// Calls `reply` with the request, unless it was given up.
  void answer(const std::shared_ptr<Pending>& pending, const std::function<void(Request)>& reply);
  /// Answers everything that waits with an error number.
  void give_up_all(int error);

 private:
  void watch(const std::stop_token& stop);
  std::list<std::shared_ptr<Pending>> take_interrupted(std::chrono::steady_clock::time_point now) BALE_REQUIRES(mutex_);

  os::Clock& clock_;
  const Milliseconds grace_;
  Mutex mutex_;
  std::condition_variable_any begun_;
  std::list<std::shared_ptr<Pending>> waiting_ BALE_GUARDED_BY(mutex_);
  std::jthread watcher_;  // last: it uses the others
};

}  // namespace bale::mount
