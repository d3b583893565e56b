#include "aws/sqs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/json.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using nlohmann::json;

constexpr const char* content_md5 = "MD5OfBody";

Call call_of(const Endpoint& endpoint, const char* action, const json& members) {
  Call call = make_json_call(endpoint, std::string("AmazonSQS.") + action, members);
  // Failures then come with the codes of the older protocol too, which people know.
  call.request.headers.add("x-amzn-query-mode", "true");
  return call;
}

json attributes_of(const queue::QueueSettings& settings, const std::string& dead_letter_arn) {
  json attributes = {{"VisibilityTimeout", std::to_string(settings.visibility_timeout.count())},
                     {"MessageRetentionPeriod", std::to_string(settings.retention.count())}};
  attributes["RedrivePolicy"] = dead_letter_arn.empty()
                                    ? ""
                                    : json({{"deadLetterTargetArn", dead_letter_arn},
                                            {"maxReceiveCount", std::to_string(settings.max_receive_count)}})
                                          .dump();
  return attributes;
}

/// {"Id": "0", `name`: text}, ... of a batch.
template <typename Values, typename Text>
json entries_of(const Values& values, const char* name, const Text& text) {
  json entries = json::array();
  for (const auto& value : values) entries.push_back({{"Id", std::to_string(entries.size())}, {name, text(value)}});
  return entries;
}

std::uint64_t number_of(const json& document, const char* name, const std::string& where) {
  const std::string text = text_of(document, name);
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::corrupt, fmt::format("{} of the answer is no number", name), where);
  return number;
}

/// Whether the body is what its MD5 says, where the answer has one.
bool is_whole(const json& document, const queue::Message& message) {
  const std::string md5 = text_of(document, content_md5);
  return md5.empty() || md5 == to_hex(Md5::of(as_bytes(message.body)));
}

queue::Message message_of(const json& document, const std::string& where) {
  queue::Message message{
      text_of(document, "MessageId"), Receipt(text_of(document, "ReceiptHandle")), text_of(document, "Body"), 0, {}};
  if (message.receipt.empty()) throw Error(ErrorKind::corrupt, "a message of the answer has no receipt", where);
  const auto attributes = document.find("Attributes");
  if (attributes == document.end() || !attributes->is_object()) return message;
  if (attributes->contains("ApproximateReceiveCount")) {
    constexpr std::uint64_t most = UINT32_MAX;
    message.receive_count =
        static_cast<std::uint32_t>(std::min(most, number_of(*attributes, "ApproximateReceiveCount", where)));
  }
  if (attributes->contains("SentTimestamp")) {
    constexpr std::uint64_t most = 253'402'300'799'999;  // the end of the year 9999
    message.sent =
        from_epoch_ms(static_cast<std::int64_t>(std::min(most, number_of(*attributes, "SentTimestamp", where))));
  }
  return message;
}

}  // namespace

Call SqsRequests::create(const QueueName& queue, const queue::QueueSettings& settings,
                         const std::string& dead_letter_arn) const {
  json attributes = attributes_of(settings, dead_letter_arn);
  if (dead_letter_arn.empty()) attributes.erase("RedrivePolicy");  // "" would be a change; a new queue has none
  return call_of(endpoint_, "CreateQueue", {{"QueueName", queue.str()}, {"Attributes", attributes}});
}

Call SqsRequests::set_settings(const QueueUrl& url, const queue::QueueSettings& settings,
                               const std::string& dead_letter_arn) const {
  return call_of(endpoint_, "SetQueueAttributes",
                 {{"QueueUrl", url.str()}, {"Attributes", attributes_of(settings, dead_letter_arn)}});
}

Call SqsRequests::get_queue_url(const QueueName& queue) const {
  return call_of(endpoint_, "GetQueueUrl", {{"QueueName", queue.str()}});
}

Call SqsRequests::destroy(const QueueUrl& url) const {
  return call_of(endpoint_, "DeleteQueue", {{"QueueUrl", url.str()}});
}

Call SqsRequests::list(const std::string& prefix, const std::string& continuation) const {
  constexpr int page = 1000;  // without a number there are no pages, and 1,000 queues at most
  json members = {{"MaxResults", page}};
  if (!prefix.empty()) members["QueueNamePrefix"] = prefix;
  if (!continuation.empty()) members["NextToken"] = continuation;
  return call_of(endpoint_, "ListQueues", members);
}

Call SqsRequests::get_attributes(const QueueUrl& url) const {
  return call_of(endpoint_, "GetQueueAttributes",
                 {{"QueueUrl", url.str()},
                  {"AttributeNames",
                   {"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed", "QueueArn", "VisibilityTimeout"}}});
}

Call SqsRequests::get_policy(const QueueUrl& url) const {
  return call_of(endpoint_, "GetQueueAttributes",
                 {{"QueueUrl", url.str()}, {"AttributeNames", json::array({"Policy"})}});
}

Call SqsRequests::set_policy(const QueueUrl& url, const std::string& policy) const {
  return call_of(endpoint_, "SetQueueAttributes", {{"QueueUrl", url.str()}, {"Attributes", {{"Policy", policy}}}});
}

Call SqsRequests::send(const QueueUrl& url, std::span<const std::string> bodies, std::chrono::seconds delay) const {
  json entries = entries_of(bodies, "MessageBody", [](const std::string& body) { return body; });
  if (delay.count() > 0) {
    for (json& entry : entries) entry["DelaySeconds"] = delay.count();
  }
  Call call = call_of(endpoint_, "SendMessageBatch", {{"QueueUrl", url.str()}, {"Entries", entries}});
  call.request.may_repeat = false;  // the messages would be there twice
  return call;
}

Call SqsRequests::receive(const QueueUrl& url, std::size_t most, std::chrono::seconds wait) const {
  return call_of(endpoint_, "ReceiveMessage",
                 {{"QueueUrl", url.str()},
                  {"MaxNumberOfMessages", most},
                  {"WaitTimeSeconds", wait.count()},
                  // Both names of one thing: servers that are not SQS know the older.
                  {"AttributeNames", {"ApproximateReceiveCount", "SentTimestamp"}},
                  {"MessageSystemAttributeNames", {"ApproximateReceiveCount", "SentTimestamp"}}});
}

Call SqsRequests::remove(const QueueUrl& url, std::span<const Receipt> receipts) const {
  const json entries = entries_of(receipts, "ReceiptHandle", [](const Receipt& receipt) { return receipt.str(); });
  return call_of(endpoint_, "DeleteMessageBatch", {{"QueueUrl", url.str()}, {"Entries", entries}});
}

Call SqsRequests::set_visibility(const QueueUrl& url, std::span<const Receipt> receipts,
                                 std::chrono::seconds timeout) const {
  json entries = entries_of(receipts, "ReceiptHandle", [](const Receipt& receipt) { return receipt.str(); });
  for (json& entry : entries) entry["VisibilityTimeout"] = timeout.count();
  return call_of(endpoint_, "ChangeMessageVisibilityBatch", {{"QueueUrl", url.str()}, {"Entries", entries}});
}

Call SqsRequests::purge(const QueueUrl& url) const {
  return call_of(endpoint_, "PurgeQueue", {{"QueueUrl", url.str()}});
}

// --- Answers --------------------------------------------------------------------------------------------------------

QueueUrl parse_queue_url(std::string_view body, const std::string& where) {
  QueueUrl url(text_of(parse_json_answer(body, where), "QueueUrl"));
  if (url.empty()) throw Error(ErrorKind::corrupt, "the answer has no QueueUrl", where);
  return url;
}

QueuePage parse_queues(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  require_member_unless_empty(document, "QueueUrls", where);
  QueuePage page;
  for (const json& url : array_of(document, "QueueUrls", where)) {
    if (!url.is_string()) throw Error(ErrorKind::corrupt, "a QueueUrl of the answer is no text", where);
    page.queues.emplace_back(basename(url.get_ref<const std::string&>()));
  }
  page.next = text_of(document, "NextToken");
  return page;
}

QueueAttributes parse_queue_attributes(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const auto attributes = document.find("Attributes");
  if (attributes == document.end() || !attributes->is_object())
    throw Error(ErrorKind::corrupt, "the answer has no Attributes", where);
  return {{number_of(*attributes, "ApproximateNumberOfMessages", where),
           number_of(*attributes, "ApproximateNumberOfMessagesNotVisible", where),
           number_of(*attributes, "ApproximateNumberOfMessagesDelayed", where)},
          text_of(*attributes, "QueueArn"),
          std::chrono::seconds(std::min<std::uint64_t>(number_of(*attributes, "VisibilityTimeout", where),
                                                       queue::max_visibility.count()))};
}

std::vector<queue::Message> parse_messages(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  require_member_unless_empty(document, "Messages", where);
  std::vector<queue::Message> messages;
  bool is_damaged = false;
  for (const json& message : array_of(document, "Messages", where)) {  // no messages: no member
    if (!message.is_object()) throw Error(ErrorKind::corrupt, "a message of the answer is no object", where);
    queue::Message read = message_of(message, where);
    if (is_whole(message, read))
      messages.push_back(std::move(read));
    else
      is_damaged = true;
  }
  if (is_damaged && messages.empty())
    throw Error(ErrorKind::unavailable, "a message was damaged on the way: its body is not what its MD5 says", where);
  return messages;
}

std::vector<queue::EntryResult> parse_batch(std::string_view body, std::size_t count, const std::string& where) {
  const json document = parse_json_answer(body, where);
  std::vector<queue::EntryResult> results(
      count, Error(ErrorKind::unavailable, "the service's answer does not mention the message", where));
  const auto place_of = [&](const json& entry) -> queue::EntryResult& {
    if (!entry.is_object()) throw Error(ErrorKind::corrupt, "an entry of the answer is no object", where);
    const std::uint64_t place = number_of(entry, "Id", where);
    if (place >= count) throw Error(ErrorKind::corrupt, "an entry of the answer is of no request", where);
    return results[place];
  };
  for (const json& entry : array_of(document, "Successful", where)) place_of(entry).reset();
  for (const json& entry : array_of(document, "Failed", where)) {
    ServiceFailure failure;
    const auto fault = entry.is_object() ? entry.find("SenderFault") : entry.end();
    const bool ours = fault != entry.end() && fault->is_boolean() && fault->get<bool>();
    constexpr int bad_request = 400, server_failure = 500;
    failure.status = ours ? bad_request : server_failure;
    queue::EntryResult& result = place_of(entry);
    failure.code = text_of(entry, "Code");
    failure.message = text_of(entry, "Message");
    result = to_error(failure, where);
  }
  return results;
}

}  // namespace bale::aws
