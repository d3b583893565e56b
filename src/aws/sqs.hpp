// SQS's JSON 1.0 protocol: pure builders of requests and parsers of answers, in the words of the MessageQueue port.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/answer.hpp"
#include "aws/endpoint.hpp"
#include "queue/message_queue.hpp"

namespace bale::aws {

/// How a queue is named in requests: its URL, which get_queue_url() asks for.
using QueueUrl = Named<struct QueueUrlTag>;

/// Makes unsigned requests to one endpoint. A value; thread-safe. Batches have at most queue::max_batch entries, whose
/// ids are their places, "0", "1", ...; may_repeat is false where a second time would do more than the first.
class SqsRequests {
 public:
  explicit SqsRequests(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  const Endpoint& endpoint() const noexcept { return endpoint_; }

  /// `dead_letter_arn`: of settings.dead_letter; empty: none.
  Call create(const QueueName& queue, const queue::QueueSettings& settings, const std::string& dead_letter_arn) const;
  Call set_settings(const QueueUrl& url, const queue::QueueSettings& settings,
                    const std::string& dead_letter_arn) const;
  Call get_queue_url(const QueueName& queue) const;
  Call destroy(const QueueUrl& url) const;
  /// `continuation`: of the page before; empty: the first.
  Call list(const std::string& prefix, const std::string& continuation) const;
  /// Depths, ARN and visibility timeout.
  Call get_attributes(const QueueUrl& url) const;
  /// The answer is for parse_policy() of aws/sqs_policy.hpp.
  Call get_policy(const QueueUrl& url) const;
  Call set_policy(const QueueUrl& url, const std::string& policy) const;

  Call send(const QueueUrl& url, std::span<const std::string> bodies, std::chrono::seconds delay) const;
  /// `most` 1-10, `wait` 0-20 s. The answer takes as long: the deadline of the exchange has to be longer.
  Call receive(const QueueUrl& url, std::size_t most, std::chrono::seconds wait) const;
  Call remove(const QueueUrl& url, std::span<const Receipt> receipts) const;
  Call set_visibility(const QueueUrl& url, std::span<const Receipt> receipts, std::chrono::seconds timeout) const;
  Call purge(const QueueUrl& url) const;

 private:
  Endpoint endpoint_;
};

struct QueueAttributes {
  queue::QueueDepth depth;
  std::string arn;
  std::chrono::seconds visibility_timeout{};
};

struct QueuePage {
  std::vector<QueueName> queues;
  std::string next;  ///< empty: this was the last
};

// Parsers of successful answers. Each throws Error{corrupt} naming `where` for what is not the answer it expects.

QueueUrl parse_queue_url(std::string_view body, const std::string& where);
QueuePage parse_queues(std::string_view body, const std::string& where);
QueueAttributes parse_queue_attributes(std::string_view body, const std::string& where);
/// A message whose body is not what its MD5 says was damaged on the way. It is left out, and comes back after its
/// visibility timeout; where no other came with it, Error{unavailable} says so.
std::vector<queue::Message> parse_messages(std::string_view body, const std::string& where);
/// One result per entry, in the order of the request of `count` entries; an entry of which the answer says nothing has
/// failed, and may be tried again.
std::vector<queue::EntryResult> parse_batch(std::string_view body, std::size_t count, const std::string& where);

}  // namespace bale::aws
