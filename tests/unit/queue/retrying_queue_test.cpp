// The retrying queues over the embedded ones, with faults to order. Time is a fake: no test waits.
#include "queue/retrying_queue.hpp"

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"

namespace bale::queue {
namespace {

using ::testing::ElementsAre;
using testing::FaultTime;
using Texts = std::vector<std::string>;

Error unavailable() { return Error(ErrorKind::unavailable, "the connection broke"); }

class RetryingQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { embedded_->create(queue_, {}); }
  template <typename Call>
  static Error failure_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::internal, "nothing");
  }
  std::vector<Message> receive(std::stop_token stop = {}) {
    return retrying_.receive(queue_, 10, Milliseconds(0), std::move(stop));
  }

  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<MessageQueue> embedded_ = backend_->queues(Region("eu-west-1"));
  QueueName queue_{"queue"};
  testing::FaultyQueue faulty_{*embedded_};
  flow::Retrier retrier_{world_, {.max_attempts = 3, .throttled_base_delay = Milliseconds(1)}};
  RetryingQueue retrying_{faulty_, retrier_};
};

TEST_F(RetryingQueueTest, EveryCallIsTriedAgain) {
  for (const char* method :
       {"create", "exists", "destroy", "list", "depth", "send", "receive", "remove", "set_visibility", "purge"})
    faulty_.faults.arm(method, "", unavailable().without_effect(), 2);
  const QueueName other("other");
  retrying_.create(other, {});
  EXPECT_TRUE(retrying_.exists(other));
  EXPECT_EQ(retrying_.list("o").size(), 1u);
  EXPECT_FALSE(retrying_.send(queue_, {"x"}, {}).at(0));
  EXPECT_EQ(retrying_.depth(queue_).visible, 1u);
  const auto messages = receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(retrying_.set_visibility(queue_, {messages[0].receipt}, std::chrono::seconds(60)).at(0));
  EXPECT_FALSE(retrying_.remove(queue_, {messages[0].receipt}).at(0));
  retrying_.purge(queue_);
  retrying_.destroy(other);
  EXPECT_FALSE(embedded_->exists(other));
}

TEST_F(RetryingQueueTest, OnlyFailedEntriesAreSentAgain) {
  faulty_.failing_entries = {{"b", 1}, {"d", 2}};
  const auto results = retrying_.send(queue_, {"a", "b", "c", "d"}, {});
  EXPECT_EQ(std::count(results.begin(), results.end(), std::nullopt), 4);
  EXPECT_THAT(faulty_.batches, ElementsAre(Texts{"a", "b", "c", "d"}, Texts{"b", "d"}, Texts{"d"}));
  EXPECT_EQ(embedded_->depth(queue_).visible, 4u);  // each once
}

TEST_F(RetryingQueueTest, OnlyFailedReceiptsAreRemovedAgain) {
  embedded_->send(queue_, {"a", "b"});
  const auto messages = embedded_->receive(queue_, 10, Milliseconds(0), {});
  ASSERT_EQ(messages.size(), 2u);
  const Receipt first = messages[0].receipt, second = messages[1].receipt;
  faulty_.failing_entries = {{second.str(), 1}};
  EXPECT_FALSE(retrying_.set_visibility(queue_, {first, second}, std::chrono::seconds(60)).at(1));
  faulty_.failing_entries = {{second.str(), 1}};
  EXPECT_FALSE(retrying_.remove(queue_, {first, second}).at(1));
  const Texts both{first.str(), second.str()}, one{second.str()};
  EXPECT_THAT(faulty_.batches, ElementsAre(both, one, both, one));
  EXPECT_EQ(embedded_->depth(queue_).total(), 0u);
}

TEST_F(RetryingQueueTest, EachEntryHasItsOwnResultInTheEnd) {
  faulty_.failing_entries = {{"b", 99}};
  const auto results = retrying_.send(queue_, {"a", "b", std::string(max_message_bytes + 1, 'x')}, {});
  EXPECT_FALSE(results.at(0));
  ASSERT_TRUE(results.at(1));
  EXPECT_EQ(results[1]->summary(), "one entry failed; gave up after 3 attempts");
  ASSERT_TRUE(results.at(2));
  EXPECT_EQ(results[2]->kind(), ErrorKind::invalid);
  EXPECT_EQ(faulty_.batches.size(), 3u);
  EXPECT_EQ(faulty_.batches[1], Texts{"b"});  // what is refused is not sent again
}

TEST_F(RetryingQueueTest, AFailureOfALaterCallDoesNotHideWhatWasSent) {
  faulty_.failing_entries = {{"b", 1}};
  faulty_.before_send = [&] {
    if (faulty_.faults.calls("send") == 1) faulty_.faults.arm("send", "", unavailable(), 2);
  };
  const auto results = retrying_.send(queue_, {"a", "b"}, {});
  EXPECT_FALSE(results.at(0));
  ASSERT_TRUE(results.at(1));
  EXPECT_EQ(results[1]->summary(), "the connection broke; gave up after 3 attempts");
  EXPECT_EQ(embedded_->depth(queue_).visible, 1u);
}

TEST_F(RetryingQueueTest, ALostAnswerToSendMayDeliverTwice) {
  faulty_.faults.arm("send", "", unavailable(), 1, FaultTime::after);
  EXPECT_FALSE(retrying_.send(queue_, {"x"}, {}).at(0));
  EXPECT_EQ(embedded_->depth(queue_).visible, 2u);
}

TEST_F(RetryingQueueTest, ThrowsWhenNothingCouldBeSent) {
  faulty_.faults.arm("send", "", unavailable(), 3);
  EXPECT_EQ(failure_of([&] { retrying_.send(queue_, {"x"}, {}); }).summary(),
            "the connection broke; gave up after 3 attempts");
  EXPECT_EQ(failure_of([&] { retrying_.send(QueueName("none"), {"x"}, {}); }).kind(), ErrorKind::not_found);
}

TEST_F(RetryingQueueTest, MessagesOfALostReceiveComeBack) {
  embedded_->send(queue_, {"x"});
  faulty_.faults.arm("receive", "", unavailable(), 1, FaultTime::after);
  EXPECT_TRUE(receive().empty());
  outside_.clock.advance(std::chrono::seconds(31));
  const auto messages = receive();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].receive_count, 2u);
}

TEST_F(RetryingQueueTest, AStopEndsReceivingWithoutAFailure) {
  std::stop_source stop;
  stop.request_stop();
  faulty_.faults.arm("receive", "", unavailable());
  EXPECT_TRUE(receive(stop.get_token()).empty());
  outside_.stop.request_stop();  // the program's own stop is one
  faulty_.faults.arm("receive", "", unavailable());
  EXPECT_EQ(failure_of([&] { receive(); }).kind(), ErrorKind::cancelled);
  EXPECT_EQ(faulty_.faults.calls("receive"), 2);
}

TEST_F(RetryingQueueTest, QueuesThatAreGoneAreDone) {
  faulty_.faults.arm("destroy", "", unavailable(), 1, FaultTime::after);
  retrying_.destroy(queue_);
  EXPECT_FALSE(embedded_->exists(queue_));
  EXPECT_EQ(failure_of([&] { retrying_.destroy(queue_); }).kind(), ErrorKind::not_found);
}

TEST_F(RetryingQueueTest, APurgeUnderWayIsDoneAfterALostAnswer) {
  const Error busy = Error(ErrorKind::precondition, "one a minute").with_code("PurgeQueueInProgress");
  faulty_.faults.arm("purge", "", unavailable(), 1, FaultTime::after);
  faulty_.faults.arm("purge", "", busy);
  retrying_.purge(queue_);
  faulty_.faults.arm("purge", "", busy);
  EXPECT_EQ(failure_of([&] { retrying_.purge(queue_); }).code(), "PurgeQueueInProgress");
}

}  // namespace
}  // namespace bale::queue
