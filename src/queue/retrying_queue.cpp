#include "queue/retrying_queue.hpp"

#include <numeric>
#include <optional>

namespace bale::queue {
namespace {

/// Entries on their way to a queue, and what became of each.
template <typename Entry>
class Batch {
 public:
  explicit Batch(const std::vector<Entry>& entries) : entries_(entries), results_(entries.size()) {
    pending_.resize(entries.size());
    std::iota(pending_.begin(), pending_.end(), std::size_t{0});
  }

  /// Sends the pending entries, and keeps as pending those whose failure may pass. Returns one such failure; absent
  /// when nothing is pending. Throws what `send` throws, with everything still pending.
  template <typename Send>
  std::optional<Error> send_pending(const Send& send) {
    const std::vector<EntryResult> sent = pending_.size() == entries_.size() ? send(entries_) : send(picked());
    std::optional<Error> passing;
    std::vector<std::size_t> still;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      results_[pending_[i]] = sent.at(i);
      if (!sent[i] || flow::retry_class(*sent[i]) == flow::RetryClass::never) continue;
      still.push_back(pending_[i]);
      passing = sent[i];
    }
    has_results_ = true;
    pending_ = std::move(still);
    return passing;
  }

  /// Makes `error` the result of what is pending. False when nothing was ever sent, so that it holds for all.
  bool give_up(const Error& error) {
    for (const std::size_t i : pending_) results_[i] = error;
    return has_results_;
  }

  std::vector<EntryResult> take_results() { return std::move(results_); }

 private:
  std::vector<Entry> picked() const {
    std::vector<Entry> entries;
    for (const std::size_t i : pending_) entries.push_back(entries_[i]);
    return entries;
  }

  const std::vector<Entry>& entries_;
  std::vector<EntryResult> results_;
  std::vector<std::size_t> pending_;
  bool has_results_ = false;
};

template <typename Entry, typename Send>
std::vector<EntryResult> retry_batch(flow::Retrier& retrier, const std::vector<Entry>& entries, const Send& send) {
  Batch<Entry> batch(entries);
  flow::Attempts attempts(retrier);
  for (;;) {
    std::optional<Error> failure;
    try {
      failure = batch.send_pending(send);
    } catch (const Error& error) {
      failure = error;
    }
    if (!failure) {
      attempts.succeeded();
      return batch.take_results();
    }
    if (attempts.again(*failure)) continue;
    if (!batch.give_up(attempts.report())) throw attempts.report();
    return batch.take_results();
  }
}

}  // namespace

void RetryingQueue::create(const QueueName& queue, const QueueSettings& settings) {
  flow::retry(retrier_, [&] { inner_.create(queue, settings); });
}

bool RetryingQueue::exists(const QueueName& queue) {
  return flow::retry(retrier_, [&] { return inner_.exists(queue); });
}

std::chrono::seconds RetryingQueue::visibility_timeout(const QueueName& queue) {
  return flow::retry(retrier_, [&] { return inner_.visibility_timeout(queue); });
}

std::string RetryingQueue::notification_target(const QueueName& queue) {
  return flow::retry(retrier_, [&] { return inner_.notification_target(queue); });
}

void RetryingQueue::destroy(const QueueName& queue) {
  const auto is_gone = [](const Error& error) { return error.kind() == ErrorKind::not_found; };
  flow::retry_until_done(
      retrier_, [&] { inner_.destroy(queue); }, is_gone);
}

std::vector<QueueName> RetryingQueue::list(const std::string& prefix) {
  return flow::retry(retrier_, [&] { return inner_.list(prefix); });
}

QueueDepth RetryingQueue::depth(const QueueName& queue) {
  return flow::retry(retrier_, [&] { return inner_.depth(queue); });
}

std::vector<EntryResult> RetryingQueue::send(const QueueName& queue, const std::vector<std::string>& bodies,
                                             std::chrono::seconds delay) {
  return retry_batch(retrier_, bodies,
                     [&](const std::vector<std::string>& pending) { return inner_.send(queue, pending, delay); });
}

std::vector<Message> RetryingQueue::receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                            std::stop_token stop) {
  flow::Attempts attempts(retrier_, stop);
  try {
    return attempts.run([&] { return inner_.receive(queue, most, wait, stop); });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled && stop.stop_requested()) return {};
    throw;
  }
}

std::vector<EntryResult> RetryingQueue::remove(const QueueName& queue, const std::vector<Receipt>& receipts) {
  return retry_batch(retrier_, receipts,
                     [&](const std::vector<Receipt>& pending) { return inner_.remove(queue, pending); });
}

std::vector<EntryResult> RetryingQueue::set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                       std::chrono::seconds timeout) {
  return retry_batch(retrier_, receipts, [&](const std::vector<Receipt>& pending) {
    return inner_.set_visibility(queue, pending, timeout);
  });
}

void RetryingQueue::purge(const QueueName& queue) {
  // SQS takes one purge in 60 s; refused after a lost answer, the first one is under way.
  // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
  const auto is_under_way = [](const Error& error) {
    return error.code() == "PurgeQueueInProgress" || error.code() == "AWS.SimpleQueueService.PurgeQueueInProgress";
  };
  flow::retry_until_done(
      retrier_, [&] { inner_.purge(queue); }, is_under_way);
}

}  // namespace bale::queue
