// SQS standard queues in SQLite.
#pragma once

#include "embedded/core.hpp"
#include "queue/message_queue.hpp"

namespace bale::embedded {

/// The queues of one region. Time is the world's clock. Thread-safe; borrows the core.
class EmbeddedQueues final : public queue::MessageQueue {
 public:
  EmbeddedQueues(Core& core, Region region) : core_(core), region_(std::move(region)) {}

  void create(const QueueName& queue, const queue::QueueSettings& settings) override;
  bool exists(const QueueName& queue) override;
  std::string notification_target(const QueueName& queue) override;
  std::chrono::seconds visibility_timeout(const QueueName& queue) override;
  void destroy(const QueueName& queue) override;
  std::vector<QueueName> list(const std::string& prefix) override;
  queue::QueueDepth depth(const QueueName& queue) override;
  std::vector<queue::EntryResult> send(const QueueName& queue, const std::vector<std::string>& bodies,
                                       std::chrono::seconds delay = {}) override;
  std::vector<queue::Message> receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                      std::stop_token stop) override;
  std::vector<queue::EntryResult> remove(const QueueName& queue, const std::vector<Receipt>& receipts) override;
  std::vector<queue::EntryResult> set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                 std::chrono::seconds timeout) override;
  void purge(const QueueName& queue) override;

 private:
  struct Row;
  struct Candidate;
  std::int64_t now() const { return core_.time.now(); }
  std::optional<Row> find(Database& database, const QueueName& queue) const;
  /// Throws Error{not_found}.
  Row require(Database& database, const QueueName& queue) const;
  /// When the next message is visible, past times included; absent when the queue is empty.
  std::optional<std::int64_t> next_visible(const QueueName& queue);
  std::vector<queue::Message> take(WriteContext& context, const QueueName& queue, std::size_t most) const;
  void drop_expired(WriteContext& context, const Row& row) const;
  bool move_if_spent(WriteContext& context, const Row& row, std::int64_t message, std::int64_t receives) const;

  Core& core_;
  const Region region_;
};

/// Puts a message into a queue: for senders, and for notifications that belong to another transaction. It becomes
/// visible `delay` from now.
void insert_message(WriteContext& context, std::int64_t queue_id, std::string_view body, Milliseconds delay = {});
/// The id of a region's queue; absent when there is none.
std::optional<std::int64_t> find_queue_id(Database& database, const Region& region, const QueueName& queue);

}  // namespace bale::embedded
