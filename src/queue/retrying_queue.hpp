// Decorator: message queues that try again what failed in passing.
#pragma once

#include "flow/retrier.hpp"
#include "queue/message_queue.hpp"

namespace bale::queue {

/// Any MessageQueue, with transient failures and throttling tried again as the retrier's settings say, and never after
/// its stop. Of a batch that failed in part, only the failed entries are sent again, and only those whose failure
/// passes. Thread-safe as the inner queue is. Queue and retrier are borrowed and outlive it.
///
/// What a lost answer leads to:
///  - send: the message may be there twice. Queues deliver at least once anyway.
///  - receive: the messages that were in it stay invisible for their timeout, and come back with a receive counted.
///  - remove, set_visibility, create, purge: the second time changes nothing; a visibility counts from the second.
///  - destroy: that the queue is gone counts as done.
class RetryingQueue final : public MessageQueue {
 public:
  RetryingQueue(MessageQueue& inner, flow::Retrier& retrier) : inner_(inner), retrier_(retrier) {}

  void create(const QueueName& queue, const QueueSettings& settings) override;
  bool exists(const QueueName& queue) override;
  std::string notification_target(const QueueName& queue) override;
  std::chrono::seconds visibility_timeout(const QueueName& queue) override;
  void destroy(const QueueName& queue) override;
  std::vector<QueueName> list(const std::string& prefix) override;
  QueueDepth depth(const QueueName& queue) override;

  std::vector<EntryResult> send(const QueueName& queue, const std::vector<std::string>& bodies,
                                std::chrono::seconds delay) override;
  /// `stop` ends the wait between two attempts too: then there are no messages, and no failure.
  std::vector<Message> receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                               std::stop_token stop) override;
  std::vector<EntryResult> remove(const QueueName& queue, const std::vector<Receipt>& receipts) override;
  std::vector<EntryResult> set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                          std::chrono::seconds timeout) override;
  void purge(const QueueName& queue) override;

 private:
  MessageQueue& inner_;
  flow::Retrier& retrier_;
};

}  // namespace bale::queue
