#include "aws/sqs.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const SqsRequests sqs({{"http", "h", 1}, "/base", "eu-west-1", true});
const QueueUrl url("http://h:1/1/q");
const std::string where = "queue q";

/// The action and the body; what all calls share is checked here.
std::string wire(const Call& call) {
  EXPECT_EQ(http::url_of(call.request), "http://h:1/base/");
  EXPECT_EQ(call.request.method, http::Method::post);
  EXPECT_EQ(call.request.headers.get("content-type"), "application/x-amz-json-1.0");
  EXPECT_EQ(call.request.headers.get("x-amzn-query-mode"), "true");
  const std::string target(call.request.headers.get("x-amz-target"));
  EXPECT_TRUE(target.starts_with("AmazonSQS."));
  return target.substr(10) + " " + call.body;
}

TEST(SqsRequests, ForQueues) {
  queue::QueueSettings settings;
  EXPECT_EQ(
      wire(sqs.create(QueueName("q"), settings, "")),
      R"(CreateQueue {"Attributes":{"MessageRetentionPeriod":"345600","VisibilityTimeout":"30"},"QueueName":"q"})");
  settings.max_receive_count = 3;
  EXPECT_EQ(wire(sqs.set_settings(url, settings, "arn:dlq")),
            R"(SetQueueAttributes {"Attributes":{"MessageRetentionPeriod":"345600","RedrivePolicy":)"
            R"("{\"deadLetterTargetArn\":\"arn:dlq\",\"maxReceiveCount\":\"3\"}","VisibilityTimeout":"30"},)"
            R"("QueueUrl":"http://h:1/1/q"})");
  EXPECT_NE(wire(sqs.set_settings(url, settings, "")).find(R"("RedrivePolicy":"")"), std::string::npos);
  EXPECT_EQ(wire(sqs.get_queue_url(QueueName("q"))), R"(GetQueueUrl {"QueueName":"q"})");
  EXPECT_EQ(wire(sqs.destroy(url)), R"(DeleteQueue {"QueueUrl":"http://h:1/1/q"})");
  EXPECT_EQ(wire(sqs.purge(url)), R"(PurgeQueue {"QueueUrl":"http://h:1/1/q"})");
  EXPECT_EQ(wire(sqs.list("", "")), R"(ListQueues {"MaxResults":1000})");
  EXPECT_EQ(wire(sqs.list("p", "t")), R"(ListQueues {"MaxResults":1000,"NextToken":"t","QueueNamePrefix":"p"})");
  EXPECT_NE(wire(sqs.get_attributes(url)).find("ApproximateNumberOfMessagesDelayed"), std::string::npos);
}

TEST(SqsRequests, ForMessages) {
  const std::vector<std::string> bodies{"a\n\xC3\xA4", "b"};
  EXPECT_EQ(wire(sqs.send(url, bodies, 0s)),
            "SendMessageBatch {\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"a\\n\xC3\xA4\"},"
            "{\"Id\":\"1\",\"MessageBody\":\"b\"}],\"QueueUrl\":\"http://h:1/1/q\"}");
  EXPECT_FALSE(sqs.send(url, bodies, 0s).request.may_repeat);
  EXPECT_NE(wire(sqs.send(url, bodies, 900s)).find(R"("DelaySeconds":900)"), std::string::npos);
  const std::vector<std::string> binary{"\xFF"};
  EXPECT_ERROR(ErrorKind::invalid, "", sqs.send(url, binary, 0s));
  EXPECT_EQ(wire(sqs.receive(url, 10, 20s)),
            R"(ReceiveMessage {"AttributeNames":["ApproximateReceiveCount","SentTimestamp"],"MaxNumberOfMessages":10,)"
            R"("MessageSystemAttributeNames":["ApproximateReceiveCount","SentTimestamp"],"QueueUrl":"http://h:1/1/q",)"
            R"("WaitTimeSeconds":20})");
  const std::vector<Receipt> receipts{Receipt("r"), Receipt("s")};
  EXPECT_EQ(wire(sqs.remove(url, receipts)),
            R"(DeleteMessageBatch {"Entries":[{"Id":"0","ReceiptHandle":"r"},{"Id":"1","ReceiptHandle":"s"}],)"
            R"("QueueUrl":"http://h:1/1/q"})");
  EXPECT_EQ(wire(sqs.set_visibility(url, std::span(receipts).first(1), 0s)),
            R"(ChangeMessageVisibilityBatch {"Entries":[{"Id":"0","ReceiptHandle":"r","VisibilityTimeout":0}],)"
            R"("QueueUrl":"http://h:1/1/q"})");
}

TEST(SqsAnswers, OfQueues) {
  EXPECT_EQ(parse_queue_url(R"({"QueueUrl":"http://x/1/q"})", where), QueueUrl("http://x/1/q"));
  const QueuePage page = parse_queues(R"({"QueueUrls":["http://x/1/a","http://x/1/b"],"NextToken":"t"})", where);
  EXPECT_EQ(page.queues, (std::vector<QueueName>{QueueName("a"), QueueName("b")}));
  EXPECT_EQ(page.next, "t");
  EXPECT_TRUE(parse_queues("{}", where).queues.empty());
  const QueueAttributes attributes = parse_queue_attributes(
      R"({"Attributes":{"ApproximateNumberOfMessages":"1","ApproximateNumberOfMessagesNotVisible":"2",)"
      R"("ApproximateNumberOfMessagesDelayed":"3","QueueArn":"arn","VisibilityTimeout":"45"}})",
      where);
  EXPECT_EQ(attributes.depth.total(), 6u);
  EXPECT_EQ(attributes.arn, "arn");
  EXPECT_EQ(attributes.visibility_timeout.count(), 45);
}

TEST(SqsAnswers, OfReceives) {
  EXPECT_TRUE(parse_messages("{}", where).empty());
  const auto messages = parse_messages(R"({"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"text",)"
                                       R"("MD5OfBody":"1cb251ec0d568de6a929b520c4aed8d1","Attributes":{)"
                                       R"("ApproximateReceiveCount":"2","SentTimestamp":"1737623107000"},"New":1}]})",
                                       where);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].id + messages[0].receipt.str() + messages[0].body, "mrtext");
  EXPECT_EQ(messages[0].receive_count, 2u);
  EXPECT_EQ(to_epoch_ms(messages[0].sent), 1737623107000);
  for (const char* body : {"", "[]", "<html>", R"({"error":"log in first"})"})
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_messages(body, where));
  for (const char* body : {R"({"Messages":{}})", R"({"Messages":[1]})", R"({"Messages":[{"Body":"b"}]})",
                           R"({"Messages":[{"ReceiptHandle":"r","Attributes":{"SentTimestamp":"x"}}]})"}) {
    SCOPED_TRACE(body);
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_messages(body, where));
  }
  constexpr const char* damaged =
      R"({"ReceiptHandle":"r","Body":"other","MD5OfBody":"1cb251ec0d568de6a929b520c4aed8d1"})";
  EXPECT_ERROR(ErrorKind::unavailable, "", parse_messages(fmt::format(R"({{"Messages":[{}]}})", damaged), where));
  const auto whole = parse_messages(fmt::format(R"({{"Messages":[{},{{"ReceiptHandle":"w"}}]}})", damaged), where);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].receipt, Receipt("w"));
}

TEST(SqsAnswers, OfBatchesTellOfEachEntry) {
  const auto results = parse_batch(
      R"({"Successful":[{"Id":"2"}],"Failed":[{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true,)"
      R"("Message":"m"},{"Id":"1","Code":"InternalError","SenderFault":false}]})",
      4, where);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0]->kind(), ErrorKind::invalid);
  EXPECT_EQ(results[0]->code(), "ReceiptHandleIsInvalid");
  EXPECT_EQ(results[1]->kind(), ErrorKind::unavailable);
  EXPECT_FALSE(results[2].has_value());
  EXPECT_EQ(results[3]->kind(), ErrorKind::unavailable);  // not mentioned
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_batch(R"({"Successful":[{"Id":"4"}]})", 4, where));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_batch(R"({"Failed":[{"Id":"x"}]})", 4, where));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_batch(R"({"Failed":[7]})", 4, where));
}

}  // namespace
}  // namespace bale::aws
