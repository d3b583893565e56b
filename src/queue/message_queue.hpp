// Port: message queues with the semantics of Amazon SQS standard queues.
//
// At least once, unordered. A received message is invisible until its visibility timeout ends; only its newest receipt
// deletes it. After max_receive_count receives without a delete it moves to the dead-letter queue.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::queue {

/// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
inline constexpr std::size_t max_batch = 10;
inline constexpr std::size_t max_message_bytes = 1'048'576;
inline constexpr std::chrono::seconds max_wait{20};
inline constexpr std::chrono::seconds max_visibility{43'200};

struct QueueSettings {
  std::chrono::seconds visibility_timeout{30};
  std::chrono::seconds retention{4 * 24 * 3600};
  QueueName dead_letter;                ///< empty: none
  std::uint32_t max_receive_count = 5;  ///< receives before a message goes to dead_letter
  /// Buckets, of the queue's own account, whose event notifications the queue takes. Who else may send stays as it is.
  /// Has no effect where there are no permissions (the embedded kind).
  std::vector<BucketName> event_sources;
};

struct Message {
  std::string id;
  Receipt receipt;
  std::string body;
  std::uint32_t receive_count = 0;  ///< this receive included
  TimePoint sent{};
};

struct QueueDepth {
  std::uint64_t visible = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t delayed = 0;
  std::uint64_t total() const { return visible + in_flight + delayed; }
};

/// What became of one entry of a batch: absent when it went well.
using EntryResult = std::optional<Error>;

/// The queues of one region. Thread-safe.
class MessageQueue {
 public:
  virtual ~MessageQueue() = default;

  /// Makes the queue, or changes the settings of the one that has the name. The dead-letter queue must exist.
  virtual void create(const QueueName& queue, const QueueSettings& settings) = 0;
  virtual bool exists(const QueueName& queue) = 0;
  /// What the rules of a bucket of this region call the queue (store::NotificationRule::queue): its ARN on AWS, its
  /// name on the embedded kind. Error{not_found} for a missing queue.
  virtual std::string notification_target(const QueueName& queue) = 0;
  /// For how long a received message is invisible. Error{not_found} for a missing queue.
  virtual std::chrono::seconds visibility_timeout(const QueueName& queue) = 0;
  virtual void destroy(const QueueName& queue) = 0;
  virtual std::vector<QueueName> list(const std::string& prefix) = 0;
  /// Approximate on AWS.
  virtual QueueDepth depth(const QueueName& queue) = 0;

  /// Any number of messages; batches of ten inside. One result per body: a batch that failed is in the results of its
  /// messages. Throws only what holds for all of them, Error{not_found} for a missing queue for one.
  virtual std::vector<EntryResult> send(const QueueName& queue, const std::vector<std::string>& bodies,
                                        std::chrono::seconds delay = {}) = 0;
  /// Receives up to `most` (1-10) messages; waits up to `wait` (0-20 s) for the first, or until `stop`, which ends the
  /// call within moments. No message is lost sight of by a stop: one that arrives at that moment is returned, or is
  /// visible again. May return fewer, or none, though more are there.
  virtual std::vector<Message> receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                       std::stop_token stop) = 0;
  /// Any number of receipts; batches of ten inside. An old receipt deletes nothing and is no failure.
  virtual std::vector<EntryResult> remove(const QueueName& queue, const std::vector<Receipt>& receipts) = 0;
  /// Keeps messages invisible for `timeout` from now; 0 makes them visible at once.
  virtual std::vector<EntryResult> set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                  std::chrono::seconds timeout) = 0;
  /// Removes every message.
  virtual void purge(const QueueName& queue) = 0;
};

}  // namespace bale::queue
