// Message queues that fail when told to. A fault that was armed and never came fails the test.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "queue/message_queue.hpp"
#include "support/faults.hpp"

namespace bale::testing {

/// Passes everything on to real queues, except the calls that a fault matches, and the entries that are told to fail.
/// Thread-safe, apart from the settings.
class FaultyQueue final : public queue::MessageQueue {
 public:
  explicit FaultyQueue(queue::MessageQueue& inner) : inner_(inner) {}

  Faults faults;
  /// How often the entry with this text (body or receipt) still fails, throttled, before it is passed on.
  std::map<std::string, int> failing_entries;
  /// The entries of each call of send, remove and set_visibility.
  std::vector<std::vector<std::string>> batches;
  /// Called before each call of send, receive and remove.
  std::function<void()> before_send, before_receive, before_remove;

  void create(const QueueName& q, const queue::QueueSettings& s) override {
    call("create", q, [&] { inner_.create(q, s); });
  }
  bool exists(const QueueName& q) override {
    return call("exists", q, [&] { return inner_.exists(q); });
  }
  std::chrono::seconds visibility_timeout(const QueueName& q) override {
    return call("visibility_timeout", q, [&] { return inner_.visibility_timeout(q); });
  }
  std::string notification_target(const QueueName& q) override {
    return call("notification_target", q, [&] { return inner_.notification_target(q); });
  }
  void destroy(const QueueName& q) override {
    call("destroy", q, [&] { inner_.destroy(q); });
  }
  std::vector<QueueName> list(const std::string& p) override {
    return call("list", QueueName(p), [&] { return inner_.list(p); });
  }
  queue::QueueDepth depth(const QueueName& q) override {
    return call("depth", q, [&] { return inner_.depth(q); });
  }
  std::vector<queue::EntryResult> send(const QueueName& q, const std::vector<std::string>& bodies,
                                       std::chrono::seconds delay) override {
    if (before_send) before_send();
    return call("send", q,
                [&] { return in_part(bodies, [&](const auto& passed) { return inner_.send(q, passed, delay); }); });
  }
  std::vector<queue::Message> receive(const QueueName& q, std::size_t most, Milliseconds wait,
                                      std::stop_token stop) override {
    if (before_receive) before_receive();
    return call("receive", q, [&] { return inner_.receive(q, most, wait, stop); });
  }
  std::vector<queue::EntryResult> remove(const QueueName& q, const std::vector<Receipt>& receipts) override {
    if (before_remove) before_remove();
    return call("remove", q,
                [&] { return in_part(receipts, [&](const auto& passed) { return inner_.remove(q, passed); }); });
  }
  std::vector<queue::EntryResult> set_visibility(const QueueName& q, const std::vector<Receipt>& receipts,
                                                 std::chrono::seconds timeout) override {
    return call("set_visibility", q, [&] {
      return in_part(receipts, [&](const auto& passed) { return inner_.set_visibility(q, passed, timeout); });
    });
  }
  void purge(const QueueName& q) override {
    call("purge", q, [&] { inner_.purge(q); });
  }

 private:
  static const std::string& text(const std::string& body) { return body; }
  static const std::string& text(const Receipt& receipt) { return receipt.str(); }

  template <typename Work>
  std::invoke_result_t<Work&> call(const std::string& method, const QueueName& queue, Work work) {
    // A message sent twice, or received and forgotten, shows: such answers arrive.
    return faults.call(method, queue.str(), std::move(work),
                       [&] { return method != "send" && method != "receive" && method != "set_visibility"; });
  }

  /// Gives the entries that are told to fail their failure, and passes the others on.
  template <typename Entry, typename Pass>
  std::vector<queue::EntryResult> in_part(const std::vector<Entry>& entries, const Pass& pass) {
    if (failing_entries.empty() && faults.is_periodic()) return pass(entries);
    std::vector<Entry> passed;
    std::vector<queue::EntryResult> results;
    {
      const Lock lock(mutex_);  // a keeper of visibility calls from a thread of its own
      batches.emplace_back();
      for (const Entry& entry : entries) {
        batches.back().push_back(text(entry));
        const auto failing = failing_entries.find(text(entry));
        const bool fails = failing != failing_entries.end() && failing->second-- > 0;
        results.push_back(fails ? queue::EntryResult(Error(ErrorKind::throttled, "one entry failed")) : std::nullopt);
        if (!fails) passed.push_back(entry);
      }
    }
    const auto got = pass(passed);
    for (std::size_t i = 0, next = 0; i < results.size(); ++i) {
      if (!results[i]) results[i] = got.at(next++);
    }
    return results;
  }

  queue::MessageQueue& inner_;
  Mutex mutex_;  ///< failing_entries and batches, while calls come
};

}  // namespace bale::testing
