#include "embedded/message_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "queue/rules.hpp"

namespace bale::embedded {

using queue::EntryResult;
using queue::Message;
using queue::QueueDepth;
using queue::QueueSettings;

namespace {

/// How often other processes are looked at for new messages; those of this process wake us at once.
constexpr Milliseconds poll_interval{25};

/// A receipt is the message's number and the receive's, which nobody reuses.
struct ReceiptParts {
  std::int64_t message = 0;
  std::int64_t receive = 0;
};

Receipt make_receipt(const ReceiptParts& parts) {
  return Receipt(fmt::format("{:x}-{:x}", parts.message, parts.receive));
}

std::optional<ReceiptParts> parse_receipt(const Receipt& receipt) {
  ReceiptParts parts;
  const char* const end = receipt.str().data() + receipt.str().size();
  const auto first = std::from_chars(receipt.str().data(), end, parts.message, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, parts.receive, 16);
  if (second.ec != std::errc() || second.ptr != end || parts.receive <= 0) return std::nullopt;
  return parts;
}

Error invalid_receipt() {
  return Error(ErrorKind::invalid, "that is not a receipt of this queue").with_code("ReceiptHandleIsInvalid");
}

}  // namespace

struct EmbeddedQueues::Row {
  std::int64_t id = 0;
  std::int64_t visibility_ms = 0, retention_ms = 0;
  QueueName dead_letter;
  std::int64_t max_receive_count = 0;
};

struct EmbeddedQueues::Candidate {
  std::int64_t id = 0;
  std::string body;
  std::int64_t sent = 0, receives = 0;
};

void insert_message(WriteContext& context, std::int64_t queue_id, std::string_view body, Milliseconds delay) {
  const std::int64_t now = context.time();
  context.database.execute("INSERT INTO messages(id, queue, body, sent, visible_at) VALUES(?, ?, ?, ?, ?)",
                           context.next_sequence(), queue_id, Blob{body}, now, now + delay.count());
  context.wake_receivers();
}

std::optional<std::int64_t> find_queue_id(Database& database, const Region& region, const QueueName& queue) {
  Query found = database.query("SELECT id FROM queues WHERE region = ? AND name = ?", region.str(), queue.str());
  if (!found.step()) return std::nullopt;
  return found.integer(0);
}

std::optional<EmbeddedQueues::Row> EmbeddedQueues::find(Database& database, const QueueName& queue) const {
  Query found = database.query(
      "SELECT id, visibility_ms, retention_ms, dead_letter, max_receive_count FROM queues "
      "WHERE region = ? AND name = ?",
      region_.str(), queue.str());
  if (!found.step()) return std::nullopt;
  return Row{found.integer(0), found.integer(1), found.integer(2), QueueName(found.text(3)), found.integer(4)};
}

EmbeddedQueues::Row EmbeddedQueues::require(Database& database, const QueueName& queue) const {
  if (auto row = find(database, queue)) return *row;
  throw Error(ErrorKind::not_found, "there is no such queue", fmt::format("{}/{}", region_.str(), queue.str()))
      .with_code("AWS.SimpleQueueService.NonExistentQueue");
}

void EmbeddedQueues::create(const QueueName& queue, const QueueSettings& settings) {
  queue::check_name(queue);
  queue::check_settings(settings);
  core_.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    if (!settings.dead_letter.empty() && !find(context.database, settings.dead_letter)) {
      throw queue::no_dead_letter(queue, settings.dead_letter);
    }
    const auto ms = [](std::chrono::seconds seconds) { return Milliseconds(seconds).count(); };
    context.database.execute(
        "INSERT INTO queues(region, name, visibility_ms, retention_ms, dead_letter, max_receive_count) "
        "VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(region, name) DO UPDATE SET visibility_ms = excluded.visibility_ms, "
        "retention_ms = excluded.retention_ms, dead_letter = excluded.dead_letter, "
        "max_receive_count = excluded.max_receive_count",
        region_.str(), queue.str(), ms(settings.visibility_timeout), ms(settings.retention), settings.dead_letter.str(),
        settings.max_receive_count);
  });
}

bool EmbeddedQueues::exists(const QueueName& queue) { return find(*core_.readers.borrow(), queue).has_value(); }

std::string EmbeddedQueues::notification_target(const QueueName& queue) {
  require(*core_.readers.borrow(), queue);
  return queue.str();
}

std::chrono::seconds EmbeddedQueues::visibility_timeout(const QueueName& queue) {
  return std::chrono::duration_cast<std::chrono::seconds>(
      Milliseconds(require(*core_.readers.borrow(), queue).visibility_ms));
}

void EmbeddedQueues::destroy(const QueueName& queue) {
  core_.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    const Row row = require(context.database, queue);
    context.database.execute("DELETE FROM messages WHERE queue = ?", row.id);
    context.database.execute("DELETE FROM queues WHERE id = ?", row.id);
    context.wake_receivers();  // whoever waits on it learns that it is gone
  });
}

std::vector<QueueName> EmbeddedQueues::list(const std::string& prefix) {
  auto reader = core_.readers.borrow();
  Query names = reader->query("SELECT name FROM queues WHERE region = ? ORDER BY name", region_.str());
  std::vector<QueueName> found;
  while (names.step()) {
    if (names.text(0).starts_with(prefix)) found.emplace_back(names.text(0));
  }
  return found;
}

QueueDepth EmbeddedQueues::depth(const QueueName& queue) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const Row row = require(*reader, queue);
  const std::int64_t time = now();
  Query counts = reader->query(
      "SELECT count(*), coalesce(sum(visible_at <= ?), 0), coalesce(sum(visible_at > ? AND receive_count = 0), 0) "
      "FROM messages WHERE queue = ? AND sent > ?",
      time, time, row.id, time - row.retention_ms);
  counts.step();
  QueueDepth depth;
  depth.visible = static_cast<std::uint64_t>(counts.integer(1));
  depth.delayed = static_cast<std::uint64_t>(counts.integer(2));
  depth.in_flight = static_cast<std::uint64_t>(counts.integer(0)) - depth.visible - depth.delayed;
  return depth;
}

std::vector<EntryResult> EmbeddedQueues::send(const QueueName& queue, const std::vector<std::string>& bodies,
                                              std::chrono::seconds delay) {
  queue::check_delay(delay);
  std::vector<EntryResult> results;
  for (const std::string& body : bodies) results.push_back(queue::check_body(body));
  core_.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    const Row row = require(context.database, queue);
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      if (!results[i]) insert_message(context, row.id, bodies[i], delay);
    }
  });
  return results;
}

void EmbeddedQueues::drop_expired(WriteContext& context, const Row& row) const {
  // By age: by visibility, every receive from a long queue would look at all of it.
  context.database.execute(
      "DELETE FROM messages INDEXED BY messages_by_age WHERE queue = ? AND sent <= ? AND visible_at <= ?", row.id,
      now() - row.retention_ms, now());
}

bool EmbeddedQueues::move_if_spent(WriteContext& context, const Row& row, std::int64_t message,
                                   std::int64_t receives) const {
  if (row.dead_letter.empty() || receives < row.max_receive_count) return false;
  const auto target = find(context.database, row.dead_letter);
  if (!target) return false;  // destroyed meanwhile: better delivered once more than lost
  context.database.execute("UPDATE messages SET queue = ?, visible_at = ?, receive_count = 0, receipt = 0 WHERE id = ?",
                           target->id, now(), message);
  context.wake_receivers();
  return true;
}

std::vector<Message> EmbeddedQueues::take(WriteContext& context, const QueueName& queue, std::size_t most) const {
  const Row row = require(context.database, queue);
  drop_expired(context, row);
  const std::int64_t time = now();
  std::vector<Candidate> candidates;
  {
    Query next = context.database.query(
        "SELECT id, body, sent, receive_count FROM messages WHERE queue = ? AND visible_at <= ? "
        "ORDER BY visible_at, id LIMIT ?",
        row.id, time, most);
    while (next.step()) candidates.push_back({next.integer(0), next.text(1), next.integer(2), next.integer(3)});
  }
  std::vector<Message> taken;
  for (Candidate& message : candidates) {
    if (move_if_spent(context, row, message.id, message.receives)) continue;
    const std::int64_t receive = context.next_sequence();
    context.database.execute(
        "UPDATE messages SET visible_at = ?, receive_count = receive_count + 1, receipt = ? WHERE id = ?",
        time + row.visibility_ms, receive, message.id);
    taken.push_back({fmt::format("{:016x}", message.id), make_receipt({message.id, receive}), std::move(message.body),
                     static_cast<std::uint32_t>(message.receives + 1), core_.time.wall_time(message.sent)});
  }
  // When all that was visible moved away there may be more behind it: the caller comes again.
  if (taken.empty() && !candidates.empty()) context.wake_receivers();
  return taken;
}

std::optional<std::int64_t> EmbeddedQueues::next_visible(const QueueName& queue) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const Row row = require(*reader, queue);
  Query next = reader->query("SELECT min(visible_at) FROM messages WHERE queue = ?", row.id);
  next.step();
  if (next.is_null(0)) return std::nullopt;
  return next.integer(0);
}

std::vector<Message> EmbeddedQueues::receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                             std::stop_token stop) {
  queue::check_receive(most, wait);
  const auto deadline = core_.world.clock.steady() + wait;
  for (;;) {
    const std::uint64_t seen = core_.receivers.count();
    const auto visible_at = next_visible(queue);
    if (visible_at && *visible_at <= now()) {
      std::vector<Message> taken;
      // A receive that a power cut undoes is a redelivery, which SQS allows at any time.
      core_.commits.run(Database::Durability::process,
                        [&](WriteContext& context) { taken = take(context, queue, most); });
      if (!taken.empty()) return taken;
    }
    const auto left = std::chrono::ceil<Milliseconds>(deadline - core_.world.clock.steady());
    if (left.count() <= 0 || stop.stop_requested()) return {};
    Milliseconds pause = std::min(poll_interval, left);
    if (visible_at) pause = std::min(pause, std::max(Milliseconds(1), Milliseconds(*visible_at - now())));
    const auto before = core_.world.clock.steady();
    core_.receivers.wait(seen, pause, stop);
    // A clock that stood still meanwhile is a test's, which moves when somebody sleeps.
    if (core_.world.clock.steady() == before && core_.receivers.count() == seen)
      core_.world.clock.sleep_for(pause, stop);
  }
}

std::vector<EntryResult> EmbeddedQueues::remove(const QueueName& queue, const std::vector<Receipt>& receipts) {
  std::vector<EntryResult> results(receipts.size());
  // A removal that a power cut undoes is a redelivery.
  core_.commits.run(Database::Durability::process, [&](WriteContext& context) {
    const Row row = require(context.database, queue);
    for (std::size_t i = 0; i < receipts.size(); ++i) {
      const auto parts = parse_receipt(receipts[i]);
      results[i] = parts ? EntryResult() : EntryResult(invalid_receipt());
      if (parts)
        context.database.execute("DELETE FROM messages WHERE id = ? AND queue = ? AND receipt = ?", parts->message,
                                 row.id, parts->receive);
    }
  });
  return results;
}

std::vector<EntryResult> EmbeddedQueues::set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                        std::chrono::seconds timeout) {
  queue::check_visibility(timeout);
  std::vector<EntryResult> results(receipts.size());
  core_.commits.run(Database::Durability::process, [&](WriteContext& context) {
    const Row row = require(context.database, queue);
    const std::int64_t time = now();
    for (std::size_t i = 0; i < receipts.size(); ++i) {
      const auto parts = parse_receipt(receipts[i]);
      results[i] = parts ? EntryResult() : EntryResult(invalid_receipt());
      if (!parts) continue;
      const std::int64_t changed = context.database.execute(
          "UPDATE messages SET visible_at = ? WHERE id = ? AND queue = ? AND receipt = ? AND visible_at > ?",
          time + Milliseconds(timeout).count(), parts->message, row.id, parts->receive, time);
      if (changed == 0) {
        results[i] = Error(ErrorKind::invalid, "the message is no longer in flight under this receipt")
                         .with_code("MessageNotInflight");
      }
    }
    if (timeout.count() == 0) context.wake_receivers();
  });
  return results;
}

void EmbeddedQueues::purge(const QueueName& queue) {
  core_.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    context.database.execute("DELETE FROM messages WHERE queue = ?", require(context.database, queue).id);
  });
}

}  // namespace bale::embedded
