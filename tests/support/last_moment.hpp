// A message queue that brings a message at the very moment at which the receiver is told to wait no longer.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "os/clock.hpp"
#include "queue/message_queue.hpp"

namespace bale::testing {

/// Passes everything on to real queues. The first receive that `stop` ends calls `arrive`, which makes a message, and
/// returns it. Thread-safe.
class LastMoment final : public queue::MessageQueue {
 public:
  LastMoment(queue::MessageQueue& inner, std::function<void()> arrive) : inner_(inner), arrive_(std::move(arrive)) {}

  bool brought() const { return brought_; }

  std::vector<queue::Message> receive(const QueueName& q, std::size_t most, Milliseconds wait,
                                      std::stop_token stop) override {
    auto messages = inner_.receive(q, most, wait, stop);
    if (!messages.empty() || !stop.stop_requested() || brought_.exchange(true)) return messages;
    arrive_();
    return inner_.receive(q, most, Milliseconds(0), {});
  }

  void create(const QueueName& q, const queue::QueueSettings& s) override { inner_.create(q, s); }
  bool exists(const QueueName& q) override { return inner_.exists(q); }
  std::chrono::seconds visibility_timeout(const QueueName& q) override { return inner_.visibility_timeout(q); }
  std::string notification_target(const QueueName& q) override { return inner_.notification_target(q); }
  void destroy(const QueueName& q) override { inner_.destroy(q); }
  std::vector<QueueName> list(const std::string& p) override { return inner_.list(p); }
  queue::QueueDepth depth(const QueueName& q) override { return inner_.depth(q); }
  std::vector<queue::EntryResult> send(const QueueName& q, const std::vector<std::string>& bodies,
                                       std::chrono::seconds delay) override {
    return inner_.send(q, bodies, delay);
  }
  std::vector<queue::EntryResult> remove(const QueueName& q, const std::vector<Receipt>& receipts) override {
    return inner_.remove(q, receipts);
  }
  std::vector<queue::EntryResult> set_visibility(const QueueName& q, const std::vector<Receipt>& receipts,
                                                 std::chrono::seconds timeout) override {
    return inner_.set_visibility(q, receipts, timeout);
  }
  void purge(const QueueName& q) override { inner_.purge(q); }

 private:
  queue::MessageQueue& inner_;
  const std::function<void()> arrive_;
  std::atomic<bool> brought_{false};
};

}  // namespace bale::testing
