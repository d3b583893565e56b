#include "queue/retrying_queue.hpp"

#include "flow/retry_batch.hpp"

namespace bale::queue {
namespace {

template <typename Entry, typename Send>
std::vector<EntryResult> retry_batch(flow::Retrier& retrier, const std::vector<Entry>& entries, const Send& send) {
  return flow::retry_batch<EntryResult>(
      retrier, entries, send, [](EntryResult& result) -> EntryResult& { return result; },
      [](const flow::Attempts&, const Entry&, EntryResult&) {});
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
