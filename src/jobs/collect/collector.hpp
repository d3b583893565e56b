// Events in, batches of objects out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/replication.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "queue/message_queue.hpp"
#include "queue/visibility_keeper.hpp"
#include "store/events.hpp"
#include "telemetry/log.hpp"

namespace bale::collect {

/// What becomes of events that speak of different versions of one key.
enum class Versions {
  newest,  ///< they are merged, and the newest wins: who comes later would overwrite the others anyway
  each,    ///< an archive has one version of a key, and others have the others: for backups, which keep them all
};

/// An object (or a deletion) of a batch: the newest of the events that speak of its key, and the messages that brought
/// them.
struct BatchItem {
  store::ObjectEvent event;
  std::vector<std::size_t> messages{};  ///< indices into Batch::messages
  std::size_t round = 0;                ///< items of different rounds go into different archives, the lower ones first
  bool mixed = false;  ///< events with and without a sequencer spoke of different content: the source is asked
};

/// Objects to be packed together, and the messages to be settled when that is done.
struct Batch {
  /// At most one per object and round. Those of a bucket that is not the source's are not to be packed: they are there
  /// so that their messages fail by name and reach the dead-letter queue.
  std::vector<BatchItem> items;
  std::vector<queue::Message> messages;
  ByteCount bytes = 0;   ///< as announced by the events
  ByteCount memory = 0;  ///< what items and messages take until they are packed, the copies that packing makes included
};

/// What a batch may take in memory, where nobody says it otherwise.
inline constexpr ByteCount default_batch_memory = 64ULL << 20;

/// Puts a batch together, message by message. No I/O. `source` is borrowed.
class BatchBuilder {
 public:
  /// `most_memory`: of Batch::memory, after which the batch is full.
  explicit BatchBuilder(const config::Source& source, Versions versions = Versions::newest,
                        ByteCount most_memory = default_batch_memory)
      : source_(source), versions_(versions), most_memory_(most_memory) {}
  /// Returns whether an event is of another version of an object than those that the batch has, and each is to be kept:
  /// the message is for the next batch. A deletion in a bucket with versions is a version too, that of its delete
  /// marker; events of a bucket without versions are all of one. Several versions that one message speaks of are in one
  /// batch, in different rounds.
  bool is_for_later(const std::vector<store::ObjectEvent>& events);
  /// Adds the events of one message, merging events of one object (the newest wins). Events with and without a
  /// sequencer cannot be compared within a second of S3's clock: where they speak of different content the merged one
  /// names none, so that the source is asked. The message is kept without its body. Returns whether the message has
  /// anything to do with the batch (false: all of it is of keys of the bucket that the source's filters leave out, or
  /// of removals that it does not track).
  bool add(const queue::Message& message, const std::vector<store::ObjectEvent>& events);
  /// Whether a limit of the source is reached. Its limit of objects is one of messages too: many events of one key are
  /// one object, but each message is held until the batch is settled.
  bool is_full() const noexcept;
  /// How many messages more the limit of objects leaves room for, if they speak of as many objects as those before.
  std::size_t room() const noexcept;
  bool empty() const noexcept { return batch_.messages.empty(); }
  Batch take();

 private:
  bool is_foreign(const store::ObjectEvent& event) const;
  /// Whether a message with this event is kept: an object of the source, or a foreign event, which is to be refused.
  bool concerns_source(const store::ObjectEvent& event) const;
  BatchItem* find(const std::vector<std::size_t>& items, const store::ObjectEvent& event);
  void merge(BatchItem& item, const store::ObjectEvent& event);
  const config::Source& source_;
  const Versions versions_;
  const ByteCount most_memory_;
  Batch batch_;
  std::map<ObjectAddress, std::vector<std::size_t>> items_of_object_;  ///< one per version that is kept
};

/// What becomes of a message when its batch is done.
struct Failure {
  std::size_t item;  ///< index into Batch::items
  Error error;
};

/// Gathers batches from one source's queue. One thread calls next() and give_back_later(), any thread the rest; several
/// collectors may share a queue. Messages are kept invisible from receipt to settlement. Everything passed in is
/// borrowed.
class Collector {
 public:
  Collector(queue::MessageQueue& queue, QueueName name, const config::Source& source, Versions versions,
            os::World& world, telemetry::Log& log, ByteCount most_memory = default_batch_memory);

  /// Waits up to `first_wait` for a first message, then gathers until the batch is full or the configured wait is over,
  /// however many more there are (`drain`: or until none is there). Nothing when no message came in time. Test
  /// events and events of other prefixes are deleted on the way; messages that are not events stay for the dead-letter
  /// queue. Messages with another version of an object of the batch (Versions::each) are held for the batches after it,
  /// which begin with them; the batch also ends when BatchLimits::max_objects messages are held so. Throws what the
  /// queue answers when nothing was gathered before; else the batch is what came until then.
  std::optional<Batch> next(Milliseconds first_wait, bool drain, std::stop_token stop);

  /// Deletes the messages whose items all succeeded; what cannot be deleted comes back, and changes nothing. The others
  /// come back: after their visibility timeout when the failure may pass by itself, sooner when it will not (they then
  /// reach the dead-letter queue sooner too). Returns how many were deleted.
  std::size_t settle(const Batch& batch, const std::vector<Failure>& failures);

  /// Gives a batch back untouched, to be received again at once: when the process is about to stop.
  void give_back(const Batch& batch);
  /// Gives back what is held for later batches: to be called when there will be none.
  void give_back_later();

 private:
  /// A message that waits for a batch without another version of its object.
  struct Later {
    queue::Message message;
    std::vector<store::ObjectEvent> events;
  };
  using Messages = std::vector<queue::Message>;
  std::optional<Messages> receive(std::size_t calls, Milliseconds wait, const std::stop_token& stop, bool has_gathered);
  Messages receive_at_once(std::size_t calls, Milliseconds wait, const std::stop_token& stop);
  void come_back(const std::vector<Receipt>& receipts, std::chrono::seconds delay);
  void gather(BatchBuilder& builder, Milliseconds first_wait, bool drain, const std::stop_token& stop);
  void take_later(BatchBuilder& builder);
  bool is_full(const BatchBuilder& builder) const noexcept;
  void take(const std::vector<queue::Message>& messages, BatchBuilder& builder);
  void take_message(const queue::Message& message, BatchBuilder& builder, std::vector<Receipt>& done);
  void remove(const std::vector<Receipt>& receipts);
  queue::MessageQueue& queue_;
  const QueueName name_;
  const config::Source& source_;
  const Versions versions_;
  const ByteCount most_memory_;
  os::World& world_;
  telemetry::Log& log_;
  std::vector<Later> later_;  ///< in the order of their receipt
  queue::VisibilityKeeper keeper_;
  std::optional<flow::ThreadPool> receivers_;  // made when a far queue turns out to be full
};

/// How many calls of receive() to make at once. A call brings ten messages at most: one at a time from a queue that
/// answers after 50 ms is 200 messages in a second. More than one only where the last calls were slow and brought as
/// much as they could; then twice as many, 8 at most, as long as there is `room` for what they bring. Pure.
std::size_t receives_at_once(std::size_t last_calls, std::size_t last_messages, Milliseconds last_took,
                             std::size_t room) noexcept;

/// How soon a message whose work failed for good is tried again: 1, 2, 4, ... seconds by receive count, at most
/// `timeout`.
std::chrono::seconds retry_delay(std::uint32_t receive_count, std::chrono::seconds timeout) noexcept;

}  // namespace bale::collect
