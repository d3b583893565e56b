#include "cloud/sqs_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include "aws/sqs_policy.hpp"
#include "base/error.hpp"
#include "queue/rules.hpp"

namespace bale::cloud {
namespace {

using queue::EntryResult;

/// Ten messages of 1 MiB, each byte of them as \u0000, with what is said about them.
constexpr ByteCount most_answer_bytes = 64 << 20;
/// What all messages of one batch may have together.
/// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
constexpr std::size_t most_batch_bytes = queue::max_message_bytes;

/// A far queue answers after 50 ms and more: one batch after the other would delete 200 messages in a second.
constexpr std::size_t most_batches_at_once = 8;

/// Such a name needs no GetQueueUrl, nor the permission for it.
bool is_url(const QueueName& queue) {
  return queue.str().starts_with("https://") || queue.str().starts_with("http://");
}

bool is_missing(const Error& error) { return error.kind() == ErrorKind::not_found; }

/// Sizes of the batches of `count` entries.
std::vector<std::size_t> tens_of(std::size_t count) {
  std::vector<std::size_t> sizes(count / queue::max_batch, queue::max_batch);
  if (count % queue::max_batch != 0) sizes.push_back(count % queue::max_batch);
  return sizes;
}

/// Sizes of the batches of `bodies`, in their order.
std::vector<std::size_t> batches_of(const std::vector<std::string>& bodies) {
  std::vector<std::size_t> sizes;
  std::size_t bytes = 0;
  for (const std::string& body : bodies) {
    if (sizes.empty() || sizes.back() == queue::max_batch || bytes + body.size() > most_batch_bytes) {
      sizes.push_back(0);
      bytes = 0;
    }
    ++sizes.back();
    bytes += body.size();
  }
  return sizes;
}

}  // namespace

SqsQueues::SqsQueues(Session& session, Region region)
    : session_(session), region_(std::move(region)), requests_(session.endpoint(aws::Service::sqs, region_.str())) {}

std::string SqsQueues::where_of(const QueueName& queue) const {
  return fmt::format("{}/{}", region_.str(), queue.str());
}

std::string SqsQueues::fetch(aws::Call call, const std::string& where, const SendOptions& options) {
  Outcome outcome = session_.send(std::move(call), aws::Service::sqs, region_.str(), nullptr, options);
  if (outcome.failure) throw queue_or_table_error(*outcome.failure, where);
  return read_text(*outcome.answer, most_answer_bytes);
}

std::string SqsQueues::fetch(const QueueName& queue, const Build& build, const SendOptions& options) {
  const aws::QueueUrl url = url_of(queue);
  try {
    return fetch(build(url), where_of(queue), options);
  } catch (const Error& error) {
    if (is_missing(error)) forget(queue);
    throw;
  }
}

std::optional<aws::QueueUrl> SqsQueues::ask_url(const QueueName& queue) {
  const std::string where = where_of(queue);
  try {
    aws::QueueUrl url = aws::parse_queue_url(fetch(requests_.get_queue_url(queue), where), where);
    const Lock lock(mutex_);
    return urls_.insert_or_assign(queue, std::move(url)).first->second;
  } catch (const Error& error) {
    if (!is_missing(error)) throw;
    forget(queue);
    return std::nullopt;
  }
}

aws::QueueUrl SqsQueues::url_of(const QueueName& queue) {
  if (is_url(queue)) return aws::QueueUrl(queue.str());
  {
    const Lock lock(mutex_);
    const auto known = urls_.find(queue);
    if (known != urls_.end()) return known->second;
  }
  if (auto url = ask_url(queue)) return *url;
  throw Error(ErrorKind::not_found, "there is no such queue", where_of(queue), "check the queue's name and region")
      .with_code("AWS.SimpleQueueService.NonExistentQueue");
}

void SqsQueues::forget(const QueueName& queue) {
  const Lock lock(mutex_);
  urls_.erase(queue);
}

// Queues

void SqsQueues::create(const QueueName& queue, const queue::QueueSettings& settings) {
  queue::check_name(queue);
  queue::check_settings(settings);
  std::string dead_letter_arn;
  if (!settings.dead_letter.empty()) {
    if (!ask_url(settings.dead_letter)) throw queue::no_dead_letter(queue, settings.dead_letter);
    dead_letter_arn = notification_target(settings.dead_letter);
  }
  // CreateQueue refuses a queue that is there with other settings.
  if (const auto url = ask_url(queue)) {
    aws::check_no_page(fetch(requests_.set_settings(*url, settings, dead_letter_arn), where_of(queue)),
                       where_of(queue));
  } else {
    const std::string where = where_of(queue);
    const aws::QueueUrl made =
        aws::parse_queue_url(fetch(requests_.create(queue, settings, dead_letter_arn), where), where);
    const Lock lock(mutex_);
    urls_.insert_or_assign(queue, made);
  }
  if (!settings.event_sources.empty()) allow_events(queue, settings.event_sources);
}

void SqsQueues::allow_events(const QueueName& queue, const std::vector<BucketName>& buckets) {
  const std::string where = where_of(queue);
  const std::string arn = notification_target(queue);
  const std::string present =
      aws::parse_policy(fetch(queue, [&](const auto& url) { return requests_.get_policy(url); }), where);
  const std::string policy = aws::allow_bucket_events(present, arn, buckets, where);
  if (policy != present)
    aws::check_no_page(fetch(queue, [&](const auto& url) { return requests_.set_policy(url, policy); }), where);
}

bool SqsQueues::exists(const QueueName& queue) {
  if (!is_url(queue)) return ask_url(queue).has_value();
  try {
    depth(queue);
    return true;
  } catch (const Error& error) {
    if (is_missing(error)) return false;
    throw;
  }
}

std::string SqsQueues::notification_target(const QueueName& queue) {
  const std::string where = where_of(queue);
  const std::string body = fetch(queue, [&](const auto& url) { return requests_.get_attributes(url); });
  std::string arn = aws::parse_queue_attributes(body, where).arn;
  if (arn.empty()) throw Error(ErrorKind::corrupt, "the answer has no QueueArn", where);
  return arn;
}

void SqsQueues::destroy(const QueueName& queue) {
  aws::check_no_page(fetch(queue, [&](const auto& url) { return requests_.destroy(url); }), where_of(queue));
  forget(queue);
}

std::vector<QueueName> SqsQueues::list(const std::string& prefix) {
  const std::string where = fmt::format("the queues of {}", region_.str());
  std::vector<QueueName> all;
  std::string continuation;
  do {
    auto page = aws::parse_queues(fetch(requests_.list(prefix, continuation), where), where);
    all.insert(all.end(), page.queues.begin(), page.queues.end());
    aws::check_next(page.next, continuation, where);
    continuation = page.next;
  } while (!continuation.empty());
  std::sort(all.begin(), all.end());
  return all;
}

queue::QueueDepth SqsQueues::depth(const QueueName& queue) {
  return aws::parse_queue_attributes(fetch(queue, [&](const auto& url) { return requests_.get_attributes(url); }),
                                     where_of(queue))
      .depth;
}

std::chrono::seconds SqsQueues::visibility_timeout(const QueueName& queue) {
  return aws::parse_queue_attributes(fetch(queue, [&](const auto& url) { return requests_.get_attributes(url); }),
                                     where_of(queue))
      .visibility_timeout;
}

void SqsQueues::purge(const QueueName& queue) {
  aws::check_no_page(fetch(queue, [&](const auto& url) { return requests_.purge(url); }), where_of(queue));
}

// Messages

std::vector<EntryResult> SqsQueues::run_batch(const QueueName& queue, const BuildBatch& build, std::size_t first,
                                              std::size_t count) {
  return aws::parse_batch(fetch(queue, [&](const auto& url) { return build(url, first, count); }), count,
                          where_of(queue));
}

/// The failure of a whole batch is thrown as long as nothing was done: the first batch goes alone. Afterwards a failure
/// is the result of that batch and of those that were not begun, which are not tried any more: what went well before
/// must not be repeated.
std::vector<EntryResult> SqsQueues::run_batches(const QueueName& queue, const std::vector<std::size_t>& sizes,
                                                const BuildBatch& build) {
  url_of(queue);  // a missing queue is a failure without entries, too
  if (sizes.empty()) return {};
  std::vector<std::size_t> firsts(sizes.size(), 0);
  std::partial_sum(sizes.begin(), sizes.end() - 1, firsts.begin() + 1);
  std::vector<EntryResult> results(firsts.back() + sizes.back());
  const auto run_one = [&](std::size_t batch) {
    auto answers = run_batch(queue, build, firsts[batch], sizes[batch]);
    std::move(answers.begin(), answers.end(), results.begin() + static_cast<std::ptrdiff_t>(firsts[batch]));
  };
  const auto fail = [&](std::size_t batch, const Error& error) {
    std::fill_n(results.begin() + static_cast<std::ptrdiff_t>(firsts[batch]), sizes[batch], error);
  };
  run_one(0);
  std::atomic<std::size_t> next{1};
  std::atomic<bool> failed{false};
  struct {
    Mutex mutex;
    std::optional<Error> error BALE_GUARDED_BY(mutex);
  } failure;
  const auto work = [&] {
    for (std::size_t batch = next++; batch < sizes.size(); batch = next++) {
      try {
        if (!failed) {
          run_one(batch);
          continue;
        }
      } catch (const std::exception&) {
        const Lock lock(failure.mutex);
        if (!failure.error) failure.error = current_error();
        failed = true;
      }
      const Lock lock(failure.mutex);
      fail(batch, *failure.error);
    }
  };
  std::vector<std::jthread> others;
  try {
    for (std::size_t i = 1; i + 1 < sizes.size() && i < most_batches_at_once; ++i) others.emplace_back(work);
  } catch (const std::system_error&) {
    // no threads left: those that there are do it
  }
  work();
  others.clear();
  return results;
}

std::vector<EntryResult> SqsQueues::send(const QueueName& queue, const std::vector<std::string>& bodies,
                                         std::chrono::seconds delay) {
  queue::check_delay(delay);
  std::vector<EntryResult> results;
  std::vector<std::string> fit;
  for (const std::string& body : bodies) {
    results.push_back(queue::check_body(body));
    if (!results.back()) fit.push_back(body);
  }
  auto sent = run_batches(queue, batches_of(fit), [&](const aws::QueueUrl& url, std::size_t first, std::size_t count) {
    return requests_.send(url, std::span(fit).subspan(first, count), delay);
  });
  auto next = sent.begin();
  for (EntryResult& result : results) {
    if (!result) result = std::move(*next++);
  }
  return results;
}

/// A request for messages, on a thread of its own.
struct SqsQueues::Receive {
  Receive(QueueName name, std::size_t count, std::chrono::seconds time)
      : queue(std::move(name)), most(count), wait(time) {}
  const QueueName queue;
  const std::size_t most;
  const std::chrono::seconds wait;
  Mutex mutex;
  std::condition_variable_any ended;
  bool done BALE_GUARDED_BY(mutex) = false;
  bool left BALE_GUARDED_BY(mutex) = false;  ///< nobody waits for the messages any more
  std::vector<queue::Message> messages BALE_GUARDED_BY(mutex);
  std::exception_ptr failure BALE_GUARDED_BY(mutex);
};

/// Sends the request and keeps what it brings; gives it back where the caller has left.
void SqsQueues::run(const std::shared_ptr<Receive>& receive) {
  std::vector<queue::Message> messages;
  std::exception_ptr failure;
  try {
    SendOptions options;
    options.deadlines.idle += receive->wait;
    options.stop = abandon_.get_token();
    const auto build = [&](const auto& url) { return requests_.receive(url, receive->most, receive->wait); };
    messages = aws::parse_messages(fetch(receive->queue, build, options), where_of(receive->queue));
  } catch (...) {
    failure = std::current_exception();
  }
  bool left = false;
  {
    const Lock lock(receive->mutex);
    left = receive->left;
    if (!left) {
      receive->messages = std::move(messages);
      receive->failure = failure;
      receive->done = true;
    }
  }
  if (left) {
    give_back(receive->queue, messages);
    const Lock lock(receive->mutex);
    receive->done = true;
  }
  receive->ended.notify_all();
}

/// Makes messages visible again. Where that fails they are so after their visibility timeout.
void SqsQueues::give_back(const QueueName& queue, const std::vector<queue::Message>& messages) noexcept {
  if (messages.empty()) return;
  try {
    std::vector<Receipt> receipts;
    for (const queue::Message& message : messages) receipts.push_back(message.receipt);
    set_visibility(queue, receipts, std::chrono::seconds(0));
  } catch (const std::exception&) {
    // Nobody is left to be told.
  }
}

/// Lets a receive end in the background, and forgets those that have ended.
void SqsQueues::leave(const std::shared_ptr<Receive>& receive, std::jthread thread) {
  const Lock lock(mutex_);
  std::erase_if(left_, [](const LeftReceive& each) {
    const Lock its(each.receive->mutex);
    return each.receive->done;
  });
  left_.push_back({receive, std::move(thread)});
}

SqsQueues::~SqsQueues() {
  constexpr std::chrono::seconds margin{3};
  std::vector<LeftReceive> left;
  {
    const Lock lock(mutex_);
    left = std::move(left_);
  }
  for (const LeftReceive& each : left) {
    Receive& receive = *each.receive;
    Lock lock(receive.mutex);
    receive.ended.wait_for(lock, receive.wait + margin, [&]() BALE_REQUIRES(receive.mutex) { return receive.done; });
  }
  abandon_.request_stop();
}

std::vector<queue::Message> SqsQueues::receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                               std::stop_token stop) {
  queue::check_receive(most, wait);
  if (stop.stop_requested()) return {};
  // SQS waits for whole seconds.
  const bool is_short = wait < std::chrono::seconds(1);
  const auto seconds = is_short ? std::chrono::seconds(0) : std::chrono::ceil<std::chrono::seconds>(wait);
  const auto receive = std::make_shared<Receive>(queue, most, seconds);
  std::jthread thread([this, receive] { run(receive); });
  std::vector<queue::Message> messages;
  {
    Lock lock(receive->mutex);
    receive->ended.wait(lock, stop, [&]() BALE_REQUIRES(receive->mutex) { return receive->done; });
    if (!receive->done) {
      receive->left = true;
      lock.unlock();
      leave(receive, std::move(thread));
      return {};
    }
    if (receive->failure) std::rethrow_exception(receive->failure);
    messages = std::move(receive->messages);
  }
  if (messages.empty() && is_short) session_.world().clock.sleep_for(wait, stop);
  return messages;
}

std::vector<EntryResult> SqsQueues::remove(const QueueName& queue, const std::vector<Receipt>& receipts) {
  return run_batches(queue, tens_of(receipts.size()),
                     [&](const aws::QueueUrl& url, std::size_t first, std::size_t count) {
                       return requests_.remove(url, std::span(receipts).subspan(first, count));
                     });
}

std::vector<EntryResult> SqsQueues::set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                   std::chrono::seconds timeout) {
  queue::check_visibility(timeout);
  return run_batches(queue, tens_of(receipts.size()),
                     [&](const aws::QueueUrl& url, std::size_t first, std::size_t count) {
                       return requests_.set_visibility(url, std::span(receipts).subspan(first, count), timeout);
                     });
}

}  // namespace bale::cloud
