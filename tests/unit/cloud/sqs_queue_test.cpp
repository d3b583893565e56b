// What the SQS kind, with its retries, makes of answers that no server of the contract suite gives.
#include "cloud/sqs_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <mutex>

#include "base/hash.hpp"
#include "contract/errors.hpp"
#include "queue/retrying_queue.hpp"
#include "unit/cloud/json_service.hpp"

namespace bale::cloud {
namespace {

using nlohmann::json;
using testing::answer;
using testing::Asked;
using ::testing::ElementsAre;
using testing::error_of;
using testing::Peer;
using testing::Received;
using testing::refusal;
using testing::ScriptedServer;

/// The answer to a batch: these entries went well, that one failed.
std::string batch(const std::vector<std::string>& well, const std::string& failed = {}, const std::string& code = {},
                  bool ours = false) {
  json document = {{"Successful", json::array()}, {"Failed", json::array()}};
  for (const std::string& id : well) document["Successful"].push_back({{"Id", id}});
  if (!failed.empty())
    document["Failed"].push_back({{"Id", failed}, {"Code", code}, {"SenderFault", ours}, {"Message", "scripted"}});
  return answer(200, document.dump());
}

json message(const std::string& receipt, const std::string& body, const std::string& md5_of) {
  return {{"ReceiptHandle", receipt}, {"Body", body}, {"MD5OfBody", to_hex_digest(Md5::of(as_bytes(md5_of)))}};
}

std::string messages(const std::vector<json>& all) { return answer(200, json({{"Messages", all}}).dump()); }

std::vector<std::string> texts(const Asked& asked, const char* member) {
  std::vector<std::string> all;
  for (const json& entry : asked.members.at("Entries")) all.push_back(entry.at(member));
  return all;
}

/// How many of a batch's entries failed.
std::ptrdiff_t failures_of(const std::vector<queue::EntryResult>& results) {
  return std::count_if(results.begin(), results.end(), [](const auto& result) { return result.has_value(); });
}

class SqsQueuesTest : public testing::JsonService {
 protected:
  SqsQueuesTest() { on("GetQueueUrl", {answer(200, R"({"QueueUrl":"https://sqs.example/1/q"})")}); }

  /// What was asked besides the queue's URL.
  std::vector<Asked> asked_of_queue() {
    std::vector<Asked> all = asked();
    std::erase_if(all, [](const Asked& each) { return each.operation == "GetQueueUrl"; });
    return all;
  }

  const QueueName q_{"q"};
  SqsQueues bare_{*session_, Region("eu-west-1")};
  queue::RetryingQueue queues_{bare_, retrier_};
};

TEST_F(SqsQueuesTest, SendsAgainOnlyWhatFailedInPassing) {
  on("SendMessageBatch", {batch({"0", "2"}, "1", "InternalError"), batch({}, "0", "RequestThrottled"), batch({"0"})});
  const auto results = queues_.send(q_, {"a", "b", "c"}, {});
  EXPECT_EQ(failures_of(results), 0);
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_THAT(texts(asked[0], "MessageBody"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(texts(asked[1], "MessageBody"), ElementsAre("b"));
  EXPECT_THAT(texts(asked[2], "MessageBody"), ElementsAre("b"));
}

TEST_F(SqsQueuesTest, TellsOfEachEntryThatIsRefusedForGood) {
  on("DeleteMessageBatch", {batch({"1"}, "0", "ReceiptHandleIsInvalid", true)});
  const auto removed = queues_.remove(q_, {Receipt("bad"), Receipt("good")});
  ASSERT_TRUE(removed.at(0));
  EXPECT_EQ(removed[0]->code(), "ReceiptHandleIsInvalid");
  EXPECT_EQ(removed[0]->kind(), ErrorKind::invalid);
  EXPECT_FALSE(removed.at(1));
  on("ChangeMessageVisibilityBatch", {batch({"0"}, "1", "AWS.SimpleQueueService.MessageNotInflight", true)});
  const auto kept = queues_.set_visibility(q_, {Receipt("a"), Receipt("gone")}, std::chrono::seconds(7));
  EXPECT_FALSE(kept.at(0));
  ASSERT_TRUE(kept.at(1));
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 2u) << "neither is tried again";
  EXPECT_EQ(asked[1].members["Entries"][0]["VisibilityTimeout"], 7);
}

TEST_F(SqsQueuesTest, TriesEntriesAgainOfWhichTheAnswerSaysNothing) {
  on("ChangeMessageVisibilityBatch", {batch({"0"}), batch({"0"})});
  const auto results = queues_.set_visibility(q_, {Receipt("a"), Receipt("b")}, std::chrono::seconds(30));
  EXPECT_EQ(failures_of(results), 0);
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(texts(asked[1], "ReceiptHandle"), ElementsAre("b"));
}

TEST_F(SqsQueuesTest, KeepsWhatWentWellBeforeABatchFailedAsAWhole) {
  const std::vector<std::string> ids{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  on("DeleteMessageBatch", {batch(ids), refusal(503, "ServiceUnavailable"), batch({"0", "1"})});
  std::vector<Receipt> receipts;
  for (int i = 0; i < 12; ++i) receipts.emplace_back("r" + std::to_string(i));
  EXPECT_EQ(failures_of(queues_.remove(q_, receipts)), 0);
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_THAT(texts(asked[2], "ReceiptHandle"), ElementsAre("r10", "r11")) << "the first ten are not sent twice";
}

TEST_F(SqsQueuesTest, WaitsAsLongAsTheServiceAsks) {
  on("SendMessageBatch", {refusal(400, "ThrottlingException", {{"x-amz-retry-after", "31000"}}), batch({"0"})});
  const auto before = world_.clock.steady();
  EXPECT_EQ(failures_of(queues_.send(q_, {"a"}, {})), 0);
  EXPECT_GE(world_.clock.steady() - before, std::chrono::seconds(31));
}

TEST_F(SqsQueuesTest, LeavesDamagedMessagesToComeBack) {
  on("ReceiveMessage", {messages({message("r1", "damaged", "whole"), message("r2", "fine", "fine")})});
  const auto received = queues_.receive(q_, 10, Milliseconds(0), {});
  ASSERT_EQ(received.size(), 1u) << "one message does not keep the others back";
  EXPECT_EQ(received[0].receipt, Receipt("r2"));
  on("ReceiveMessage", {messages({message("r1", "damaged", "whole")}), messages({message("r1", "whole", "whole")})});
  EXPECT_EQ(queues_.receive(q_, 10, Milliseconds(0), {}).at(0).body, "whole");
}

TEST_F(SqsQueuesTest, ReadsAllPagesOfAListing) {
  on("ListQueues", {answer(200, R"({"QueueUrls":["http://h/1/b"],"NextToken":"t"})"),
                    answer(200, R"({"QueueUrls":["http://h/1/a"]})")});
  EXPECT_THAT(queues_.list(""), ElementsAre(QueueName("a"), QueueName("b")));
  EXPECT_EQ(asked()[1].members["NextToken"], "t");
  on("ListQueues", {answer(200, R"({"QueueUrls":["http://h/1/b"],"NextToken":"t"})")});
  EXPECT_EQ(error_of([&] { queues_.list(""); }).kind(), ErrorKind::corrupt) << "the same page for ever";
  EXPECT_EQ(asked().size(), 2u);
}

TEST_F(SqsQueuesTest, AsksAnewForAQueueThatWasMadeAnew) {
  const std::string gone =
      refusal(400, "QueueDoesNotExist", {{"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}});
  on("PurgeQueue", {gone, answer(200, "{}")});
  EXPECT_EQ(error_of([&] { queues_.purge(q_); }).kind(), ErrorKind::not_found);
  queues_.purge(q_);
  EXPECT_THAT(operations(), ElementsAre("GetQueueUrl", "PurgeQueue", "GetQueueUrl", "PurgeQueue"));
}

TEST_F(SqsQueuesTest, SaysWhyAQueueCannotBeMadeYet) {
  on("GetQueueUrl", {refusal(400, "QueueDoesNotExist")});
  on("CreateQueue", {refusal(400, "QueueDeletedRecently",
                             {{"x-amzn-query-error", "AWS.SimpleQueueService.QueueDeletedRecently;Sender"}})});
  const Error error = error_of([&] { queues_.create(q_, {}); });
  EXPECT_EQ(error.kind(), ErrorKind::precondition);
  EXPECT_THAT(error.hint(), ::testing::HasSubstr("a minute"));
}

/// A server that answers ReceiveMessage never.
TEST_F(SqsQueuesTest, BreaksALongPollOffWhenItIsStopped) {
  std::promise<void> polled;
  ScriptedServer silent([&](Peer& peer) {
    while (const auto request = peer.read()) {
      if (request->headers.get("x-amz-target") == "AmazonSQS.GetQueueUrl") {
        peer.send(answer(200, R"({"QueueUrl":"http://h/1/q"})"));
        continue;
      }
      polled.set_value();
      peer.wait(std::chrono::seconds(30));
      return;
    }
  });
  Session session(outside_, os::system_processes(), {.endpoint_url = silent.url()});
  SqsQueues bare(session, Region("eu-west-1"));
  queue::RetryingQueue queues(bare, retrier_);
  std::stop_source stop;
  auto received =
      std::async(std::launch::async, [&] { return queues.receive(q_, 10, queue::max_wait, stop.get_token()); });
  polled.get_future().wait();
  const auto asked = std::chrono::steady_clock::now();
  stop.request_stop();
  EXPECT_TRUE(received.get().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(5));
}

TEST_F(SqsQueuesTest, AMessageThatArrivesAtTheMomentOfAStopIsGivenBack) {
  std::promise<void> polled, stopped;
  std::future<void> is_stopped = stopped.get_future();
  std::mutex mutex;
  std::vector<json> made_visible;
  ScriptedServer late([&](Peer& peer) {
    while (const auto request = peer.read()) {
      const std::string operation(request->headers.get("x-amz-target"));
      if (operation == "AmazonSQS.GetQueueUrl") {
        peer.send(answer(200, R"({"QueueUrl":"http://h/1/q"})"));
      } else if (operation == "AmazonSQS.ReceiveMessage") {
        polled.set_value();
        is_stopped.wait();  // the message comes when nobody waits for it any more
        peer.send(messages({message("late", "body", "body")}));
      } else {
        const std::scoped_lock lock(mutex);
        made_visible.push_back(json::parse(request->body));
        peer.send(batch({"0"}));
      }
    }
  });
  Session session(outside_, os::system_processes(), {.endpoint_url = late.url()});
  {
    SqsQueues bare(session, Region("eu-west-1"));
    queue::RetryingQueue queues(bare, retrier_);
    std::stop_source stop;
    auto received =
        std::async(std::launch::async, [&] { return queues.receive(q_, 10, queue::max_wait, stop.get_token()); });
    polled.get_future().wait();
    stop.request_stop();
    EXPECT_TRUE(received.get().empty());
    stopped.set_value();
  }
  const std::scoped_lock lock(mutex);
  ASSERT_EQ(made_visible.size(), 1u);
  EXPECT_EQ(made_visible[0]["Entries"][0]["ReceiptHandle"], "late");
  EXPECT_EQ(made_visible[0]["Entries"][0]["VisibilityTimeout"], 0);
}

TEST_F(SqsQueuesTest, LessThanASecondIsAskedForWithoutWaiting) {
  on("ReceiveMessage", {answer(200, "{}")});
  const auto before = world_.clock.steady();
  EXPECT_TRUE(queues_.receive(q_, 10, Milliseconds(200), {}).empty());
  EXPECT_EQ(world_.clock.steady() - before, Milliseconds(200)) << "and waits here";
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].members.value("WaitTimeSeconds", 0), 0);
}

TEST_F(SqsQueuesTest, AsksNothingOnceItIsStopped) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(queues_.receive(q_, 10, queue::max_wait, stop.get_token()).empty());
  EXPECT_TRUE(asked().empty());
}

TEST_F(SqsQueuesTest, SplitsBatchesByTheirBytes) {
  on("SendMessageBatch", {batch({"0"}), batch({"0", "1"})});
  const std::string large(600 << 10, 'x');
  EXPECT_EQ(failures_of(queues_.send(q_, {large, large, "small"}, {})), 0);
  const auto asked = asked_of_queue();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(texts(asked[1], "MessageBody").size(), 2u);
}

}  // namespace
}  // namespace bale::cloud
