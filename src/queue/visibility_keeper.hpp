// Keeps received messages invisible while their work goes on.
#pragma once

#include <condition_variable>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "os/clock.hpp"
#include "queue/message_queue.hpp"

namespace bale::queue {

/// Extends the visibility timeout of the messages it holds, three times per timeout, from a thread of its own. When the
/// process dies the extensions end with it, and the messages come back after one timeout. Thread-safe; queue and clock
/// are borrowed.
class VisibilityKeeper {
 public:
  /// `on_failure` is told of extensions that failed (the message may then be worked on twice, which every job
  /// tolerates); it is called on the keeper's thread and must not throw.
  VisibilityKeeper(MessageQueue& queue, QueueName name, std::chrono::seconds timeout, os::Clock& clock,
                   std::function<void(const Error&)> on_failure = {});
  ~VisibilityKeeper();
  VisibilityKeeper(const VisibilityKeeper&) = delete;
  VisibilityKeeper& operator=(const VisibilityKeeper&) = delete;

  void hold(const std::vector<Message>& messages);
  /// Stops extending; to be called before a message is deleted or given back.
  void drop(const std::vector<Receipt>& receipts);

 private:
  void run(std::stop_token stop);
  MessageQueue& queue_;
  const QueueName name_;
  const std::chrono::seconds timeout_;
  os::Clock& clock_;
  const std::function<void(const Error&)> on_failure_;
  Mutex mutex_;
  std::set<Receipt> held_ BALE_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the members above
};

}  // namespace bale::queue
