#include "jobs/collect/collector.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <map>
#include <set>

#include "base/error.hpp"

namespace bale::collect {
namespace {

constexpr std::size_t most_receives_at_once = 8;

std::vector<Receipt> receipts_of(const std::vector<queue::Message>& messages) {
  std::vector<Receipt> receipts;
  receipts.reserve(messages.size());
  for (const queue::Message& message : messages) receipts.push_back(message.receipt);
  return receipts;
}

}  // namespace

namespace {

/// A body has several kilobytes, and is not needed once its events are known.
queue::Message without_body(const queue::Message& message) {
  return {message.id, message.receipt, {}, message.receive_count, message.sent};
}

ByteCount memory_of(const queue::Message& message) {
  return 2 * sizeof(queue::Message) + message.id.size() + message.receipt.str().size();
}

/// The key is in the batch twice, and packing makes four more of it: the item, the member and its name.
ByteCount memory_of(const store::ObjectEvent& event) {
  return 1536 + 6 * event.key.str().size() +
         3 * (event.etag.str().size() + event.version_id.str().size() + event.sequencer.size());
}

}  // namespace

bool BatchBuilder::is_foreign(const store::ObjectEvent& event) const {
  return !source_.bucket.empty() && event.bucket != source_.bucket;
}

bool BatchBuilder::concerns_source(const store::ObjectEvent& event) const {
  if (is_foreign(event)) return true;
  if ((event.deleted || event.ask_source) && !source_.track_deletes) return false;
  const std::string& key = event.key.str();
  return (source_.prefix.empty() || key.starts_with(source_.prefix + "/")) && key.ends_with(source_.suffix);
}

/// The item of `items` that an event is to be merged with; null when it is of another version.
BatchItem* BatchBuilder::find(const std::vector<std::size_t>& items, const store::ObjectEvent& event) {
  for (const std::size_t index : items) {
    BatchItem& item = batch_.items[index];
    if (versions_ == Versions::newest || item.event.version_id == event.version_id) return &item;
  }
  return nullptr;
}

bool BatchBuilder::is_for_later(const std::vector<store::ObjectEvent>& events) {
  if (versions_ == Versions::newest) return false;
  return std::any_of(events.begin(), events.end(), [&](const store::ObjectEvent& event) {
    if (!concerns_source(event)) return false;
    const auto found = items_of_object_.find(ObjectAddress{event.bucket, event.key});
    return found != items_of_object_.end() && find(found->second, event) == nullptr;
  });
}

void BatchBuilder::merge(BatchItem& item, const store::ObjectEvent& event) {
  const store::ObjectEvent& known = item.event;
  const bool comparable = known.sequencer.empty() == event.sequencer.empty();
  const bool same = known.etag == event.etag && known.deleted == event.deleted && known.ask_source == event.ask_source;
  item.mixed |= !comparable && !same;
  const bool any_removal = known.deleted || known.ask_source || event.deleted || event.ask_source;
  batch_.bytes -= known.size;
  if (store::is_newer(event, known)) item.event = event;
  if (item.mixed) {
    item.event.ask_source = any_removal;
    item.event.deleted = false;
    item.event.size = 0;
    item.event.etag = ETag();
    item.event.version_id = VersionId();
  }
  batch_.bytes += item.event.size;
}

bool BatchBuilder::add(const queue::Message& message, const std::vector<store::ObjectEvent>& events) {
  const std::size_t message_index = batch_.messages.size();
  bool concerned = false;
  for (store::ObjectEvent event : events) {
    if (!concerns_source(event)) continue;
    concerned = true;
    if (is_foreign(event)) event.size = 0;  // nothing of it is read
    std::vector<std::size_t>& versions = items_of_object_[ObjectAddress{event.bucket, event.key}];
    BatchItem* item = find(versions, event);
    if (item != nullptr) {
      merge(*item, event);
    } else {
      item = &batch_.items.emplace_back(BatchItem{event, {}, versions.size(), false});
      versions.push_back(batch_.items.size() - 1);
      batch_.memory += memory_of(event);
      batch_.bytes += event.size;
    }
    if (item->messages.empty() || item->messages.back() != message_index) item->messages.push_back(message_index);
  }
  if (concerned) {
    batch_.messages.push_back(without_body(message));
    batch_.memory += memory_of(message);
  }
  return concerned;
}

bool BatchBuilder::is_full() const noexcept {
  return std::max(batch_.items.size(), batch_.messages.size()) >= source_.batch.max_objects ||
         batch_.bytes >= source_.batch.max_bytes || batch_.memory >= most_memory_;
}

std::size_t BatchBuilder::room() const noexcept {
  const std::size_t taken = std::max(batch_.items.size(), batch_.messages.size());
  if (taken >= source_.batch.max_objects) return 0;
  const std::size_t objects_a_message = batch_.messages.empty() ? 1 : taken / batch_.messages.size();
  return (source_.batch.max_objects - taken) / objects_a_message;
}

Batch BatchBuilder::take() {
  items_of_object_.clear();
  return std::exchange(batch_, {});
}

std::chrono::seconds retry_delay(std::uint32_t receive_count, std::chrono::seconds timeout) noexcept {
  const std::uint32_t doublings = std::min<std::uint32_t>(receive_count > 0 ? receive_count - 1 : 0, 16);
  return std::min(std::chrono::seconds(1LL << doublings), timeout);
}

std::size_t receives_at_once(std::size_t last_calls, std::size_t last_messages, Milliseconds last_took,
                             std::size_t room) noexcept {
  constexpr Milliseconds slow{5};  // a local queue answers sooner
  if (last_took < slow || last_messages < last_calls * queue::max_batch) return 1;
  return std::max<std::size_t>(1, std::min({2 * last_calls, room / queue::max_batch, most_receives_at_once}));
}

Collector::Collector(queue::MessageQueue& queue, QueueName name, const config::Source& source, Versions versions,
                     os::World& world, telemetry::Log& log, ByteCount most_memory)
    : queue_(queue),
      name_(std::move(name)),
      source_(source),
      versions_(versions),
      most_memory_(most_memory),
      world_(world),
      log_(log),
      keeper_(queue, name_, source.visibility_timeout, world.clock, [this](const Error& error) {
        log_.warning("collect.extend", "cannot extend the visibility of a message",
                     {{"queue", name_.str()}, {"error", error.what()}});
      }) {}

std::optional<Batch> Collector::next(Milliseconds first_wait, bool drain, std::stop_token stop) {
  BatchBuilder builder(source_, versions_, most_memory_);
  try {
    take_later(builder);
    gather(builder, first_wait, drain, stop);
  } catch (const std::exception&) {
    if (!builder.empty()) give_back(builder.take());
    give_back_later();
    throw;
  }
  if (builder.empty()) return std::nullopt;
  return builder.take();
}

void Collector::gather(BatchBuilder& builder, Milliseconds first_wait, bool drain, const std::stop_token& stop) {
  bool waiting_for_first = builder.empty();
  auto deadline = world_.clock.steady() + (waiting_for_first ? first_wait : Milliseconds(source_.batch.max_wait));
  std::size_t calls = 1;
  while (!is_full(builder) && !stop.stop_requested()) {
    const auto asked = world_.clock.steady();
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - asked);
    const bool may_wait = left.count() > 0 && !(drain && !waiting_for_first);
    const Milliseconds wait = may_wait ? std::min<Milliseconds>(left, queue::max_wait) : Milliseconds(0);
    const auto messages = receive(calls, wait, stop, !builder.empty());
    if (!messages || (messages->empty() && !may_wait)) break;
    const auto answered = world_.clock.steady();
    take(*messages, builder);
    if (waiting_for_first && !builder.empty()) {
      waiting_for_first = false;
      deadline = world_.clock.steady() + source_.batch.max_wait;
    }
    if (world_.clock.steady() >= deadline) break;  // even where messages keep coming: these are held meanwhile
    calls = receives_at_once(calls, messages->size(), std::chrono::duration_cast<Milliseconds>(answered - asked),
                             builder.room());
  }
}

/// One version of each object that has any waiting.
void Collector::take_later(BatchBuilder& builder) {
  std::vector<Later> still_later;
  for (Later& each : later_) {
    if (builder.is_full() || builder.is_for_later(each.events))
      still_later.push_back(std::move(each));
    else
      builder.add(each.message, each.events);
  }
  later_ = std::move(still_later);
}

/// A key that is written faster than batches are packed must not have all its messages held.
bool Collector::is_full(const BatchBuilder& builder) const noexcept {
  return builder.is_full() || later_.size() >= source_.batch.max_objects;
}

/// Holds what was received: in the batch, or until it is deleted.
void Collector::take(const std::vector<queue::Message>& messages, BatchBuilder& builder) {
  keeper_.hold(messages);
  try {
    std::vector<Receipt> done;
    for (const queue::Message& message : messages) take_message(message, builder, done);
    remove(done);
  } catch (const std::exception&) {
    come_back(receipts_of(messages), std::chrono::seconds(0));
    throw;
  }
}

/// What was gathered before the queue failed must not be lost sight of: it is held, and nobody else would get it.
std::optional<Collector::Messages> Collector::receive(std::size_t calls, Milliseconds wait, const std::stop_token& stop,
                                                      bool has_gathered) {
  try {
    if (calls > 1) return receive_at_once(calls, wait, stop);
    return queue_.receive(name_, queue::max_batch, wait, stop);
  } catch (const Error& error) {
    if (!has_gathered) throw;
    log_.warning("collect.receive", error.what(), {{"queue", name_.str()}});
    return std::nullopt;
  }
}

/// Throws what the first failed call did, when none brought anything. The calls wait a second at most: the others may
/// have emptied the queue, and what they brought waits for the last of them.
Collector::Messages Collector::receive_at_once(std::size_t calls, Milliseconds wait, const std::stop_token& stop) {
  constexpr Milliseconds longest_wait{1000};
  if (!receivers_) receivers_.emplace(most_receives_at_once, "receive");
  std::vector<Messages> answers(calls);
  flow::TaskGroup group;
  for (Messages& answer : answers) {
    group.run(*receivers_,
              [&] { answer = queue_.receive(name_, queue::max_batch, std::min(wait, longest_wait), stop); });
  }
  std::exception_ptr failure;
  try {
    group.wait();
  } catch (const std::exception&) {
    log_.warning("collect.receive", current_error().what(), {{"queue", name_.str()}});
    failure = std::current_exception();
  }
  Messages all;
  for (Messages& answer : answers) std::move(answer.begin(), answer.end(), std::back_inserter(all));
  if (failure && all.empty()) std::rethrow_exception(failure);
  return all;
}

/// Sets when a message comes back; where that fails, it does so after its visibility timeout.
void Collector::come_back(const std::vector<Receipt>& receipts, std::chrono::seconds delay) {
  keeper_.drop(receipts);
  try {
    queue_.set_visibility(name_, receipts, delay);
  } catch (const Error& error) {
    log_.warning("collect.release", error.what(), {{"queue", name_.str()}});
  }
}

void Collector::take_message(const queue::Message& message, BatchBuilder& builder, std::vector<Receipt>& done) {
  try {
    store::Notification notification = store::parse_notification(message.body);
    if (builder.is_for_later(notification.events))
      later_.push_back({without_body(message), std::move(notification.events)});
    else if (notification.is_test || !builder.add(message, notification.events))
      done.push_back(message.receipt);
  } catch (const Error& error) {
    log_.error("collect.poison", error.what(),
               {{"queue", name_.str()}, {"message_id", message.id}, {"receives", message.receive_count}});
    come_back({message.receipt}, retry_delay(message.receive_count, source_.visibility_timeout));
  }
}

void Collector::remove(const std::vector<Receipt>& receipts) {
  if (receipts.empty()) return;
  keeper_.drop(receipts);
  const auto tell = [&](const Error& error) {
    // The message comes back and its work is done again, which changes nothing.
    log_.warning("collect.delete", "cannot delete a message", {{"queue", name_.str()}, {"error", error.what()}});
  };
  try {
    for (const auto& result : queue_.remove(name_, receipts)) {
      if (result) tell(*result);
    }
  } catch (const Error& error) {
    tell(error);
  }
}

std::size_t Collector::settle(const Batch& batch, const std::vector<Failure>& failures) {
  std::map<std::size_t, bool> failed;  // message -> whether one of its failures is permanent
  for (const Failure& failure : failures) {
    for (const std::size_t message : batch.items[failure.item].messages)
      failed[message] |= !is_transient(failure.error.kind());
  }
  std::vector<Receipt> done;
  for (std::size_t i = 0; i < batch.messages.size(); ++i) {
    const auto found = failed.find(i);
    if (found == failed.end()) {
      done.push_back(batch.messages[i].receipt);
      continue;
    }
    const queue::Message& message = batch.messages[i];
    if (found->second)
      come_back({message.receipt}, retry_delay(message.receive_count, source_.visibility_timeout));
    else
      keeper_.drop({message.receipt});
  }
  remove(done);
  return done.size();
}

void Collector::give_back(const Batch& batch) { come_back(receipts_of(batch.messages), std::chrono::seconds(0)); }

void Collector::give_back_later() {
  if (later_.empty()) return;
  std::vector<Receipt> receipts;
  for (const Later& each : later_) receipts.push_back(each.message.receipt);
  later_.clear();
  come_back(receipts, std::chrono::seconds(0));
}

}  // namespace bale::collect
