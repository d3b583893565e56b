#include "queue/visibility_keeper.hpp"

#include <algorithm>

namespace bale::queue {

VisibilityKeeper::VisibilityKeeper(MessageQueue& queue, QueueName name, std::chrono::seconds timeout, os::Clock& clock,
                                   std::function<void(const Error&)> on_failure)
    : queue_(queue),
      name_(std::move(name)),
      timeout_(timeout),
      clock_(clock),
      on_failure_(std::move(on_failure)),
      thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}

VisibilityKeeper::~VisibilityKeeper() = default;

void VisibilityKeeper::hold(const std::vector<Message>& messages) {
  const Lock lock(mutex_);
  for (const Message& message : messages) held_.insert(message.receipt);
}

void VisibilityKeeper::drop(const std::vector<Receipt>& receipts) {
  const Lock lock(mutex_);
  for (const Receipt& receipt : receipts) held_.erase(receipt);
}

void VisibilityKeeper::run(std::stop_token stop) {
  // A third of the timeout leaves two more attempts when one extension fails.
  const auto interval = std::max<Milliseconds>(Milliseconds(timeout_) / 3, Milliseconds(100));
  while (clock_.sleep_for(interval, stop)) {
    try {
      // Under the lock, so that drop() returns only when no extension of its receipts is under way: a message that was
      // given back must not be hidden again.
      const Lock lock(mutex_);
      if (held_.empty()) continue;
      const std::vector<Receipt> receipts(held_.begin(), held_.end());
      for (const EntryResult& result : queue_.set_visibility(name_, receipts, timeout_)) {
        if (result && on_failure_) on_failure_(*result);
      }
    } catch (const Error& error) {
      if (on_failure_) on_failure_(error);
    }
  }
}

}  // namespace bale::queue
