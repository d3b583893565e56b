// What every MessageQueue must do: the documented behaviour of SQS standard queues.
//
// A kind is a class with
//   queue::MessageQueue& queues();
//   std::string name(const std::string&);  // a name of a queue that no other test uses, always the same for one text;
//                                          // the names of texts that begin alike begin alike
//   bool advance(Milliseconds);            // moves the kind's clock, or waits up to 3 s; false where it cannot
// It is an AsSqs, and replaces there what it does otherwise. Only the assertions about that are left out for it;
// docs/testing.md says what each deviation means for Bale.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

#include "contract/errors.hpp"
#include "queue/message_queue.hpp"

namespace bale::testing {

/// What SQS does, and some servers do not.
struct AsSqs {
  /// Only the newest receipt of a message deletes it or changes its visibility.
  static constexpr bool knows_newest_receipt = true;
  /// Of receivers at the same time one gets a message. (SQS promises it almost always.)
  static constexpr bool gives_messages_once = true;
};

/// Why a test that needs time to pass is skipped.
inline constexpr const char* too_long = "the server's clock cannot be moved, and the wait would be long";

template <typename Kind>
class MessageQueueSuite : public ::testing::Test {
 protected:
  void SetUp() override { queues().create(queue_, {}); }
  queue::MessageQueue& queues() { return kind_.queues(); }
  void send(const std::vector<std::string>& bodies, std::chrono::seconds delay = {}) {
    for (const auto& result : queues().send(queue_, bodies, delay)) EXPECT_FALSE(result) << result->what();
  }
  std::vector<queue::Message> receive(std::size_t most = 10, Milliseconds wait = Milliseconds(0)) {
    return queues().receive(queue_, most, wait, {});
  }
  /// Receives one message; fails the test and returns an empty one when there is none.
  queue::Message receive_one() {
    auto messages = receive(1);
    EXPECT_EQ(messages.size(), 1u);
    return messages.empty() ? queue::Message() : messages[0];
  }

  Kind kind_;
  QueueName queue_{kind_.name("queue")};
};

TYPED_TEST_SUITE_P(MessageQueueSuite);

TYPED_TEST_P(MessageQueueSuite, DeliversEveryMessage) {
  std::set<std::string> sent;
  for (int i = 0; i < 25; ++i) sent.insert("message " + std::to_string(i) + "\n\"ü\"");
  this->send({sent.begin(), sent.end()});
  EXPECT_EQ(this->queues().depth(this->queue_).visible, 25u);
  std::set<std::string> received;
  for (int round = 0; round < 50 && received.size() < sent.size(); ++round) {
    for (const auto& message : this->receive()) {
      EXPECT_EQ(message.receive_count, 1u);
      EXPECT_FALSE(message.id.empty());
      EXPECT_TRUE(received.insert(message.body).second) << "received twice: " << message.body;
      EXPECT_FALSE(this->queues().remove(this->queue_, {message.receipt}).at(0));
    }
  }
  EXPECT_EQ(received, sent);
  EXPECT_EQ(this->queues().depth(this->queue_).total(), 0u);
}

TYPED_TEST_P(MessageQueueSuite, HidesReceivedMessagesUntilTheirTimeout) {
  this->send({"x"});
  EXPECT_EQ(this->receive_one().receive_count, 1u);
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  EXPECT_EQ(this->queues().depth(this->queue_).in_flight, 1u);
  if (!this->kind_.advance(std::chrono::seconds(29))) GTEST_SKIP() << too_long;
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  this->kind_.advance(std::chrono::seconds(2));
  EXPECT_EQ(this->receive_one().receive_count, 2u);
}

TYPED_TEST_P(MessageQueueSuite, TakesNewSettingsForAQueueThatIsThere) {
  queue::QueueSettings settings;
  settings.visibility_timeout = std::chrono::seconds(2);
  this->queues().create(this->queue_, settings);
  this->send({"x"});
  EXPECT_EQ(this->queues().visibility_timeout(this->queue_), std::chrono::seconds(2));
  EXPECT_EQ(this->receive_one().receive_count, 1u);
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  if (!this->kind_.advance(Milliseconds(2500))) GTEST_SKIP() << too_long;
  EXPECT_EQ(this->receive_one().receive_count, 2u);
}

TYPED_TEST_P(MessageQueueSuite, DeletesWithTheNewestReceiptOnly) {
  this->send({"x"});
  const Receipt first = this->receive_one().receipt;
  this->queues().set_visibility(this->queue_, {first}, std::chrono::seconds(0));
  const Receipt second = this->receive_one().receipt;
  EXPECT_NE(first, second);
  EXPECT_FALSE(this->queues().remove(this->queue_, {first}).at(0));  // no failure, and nothing happens
  if constexpr (TypeParam::knows_newest_receipt) {
    EXPECT_EQ(this->queues().depth(this->queue_).in_flight, 1u);
  }
  EXPECT_FALSE(this->queues().remove(this->queue_, {second}).at(0));
  EXPECT_EQ(this->queues().depth(this->queue_).total(), 0u);
  EXPECT_FALSE(this->queues().remove(this->queue_, {second}).at(0));
}

TYPED_TEST_P(MessageQueueSuite, KeepsMessagesInvisibleOnRequest) {
  this->send({"x"});
  const Receipt receipt = this->receive_one().receipt;
  EXPECT_FALSE(this->queues().set_visibility(this->queue_, {receipt}, std::chrono::seconds(3)).at(0));
  if (!this->kind_.advance(Milliseconds(2000))) GTEST_SKIP() << too_long;
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  EXPECT_FALSE(this->queues().set_visibility(this->queue_, {receipt}, std::chrono::seconds(3)).at(0));
  this->kind_.advance(Milliseconds(2000));
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  this->kind_.advance(Milliseconds(1500));
  this->receive_one();
  if constexpr (TypeParam::knows_newest_receipt) {
    EXPECT_TRUE(this->queues().set_visibility(this->queue_, {receipt}, std::chrono::seconds(3)).at(0));
  }
}

TYPED_TEST_P(MessageQueueSuite, ReportsEveryEntryOnItsOwn) {
  const auto sent =
      this->queues().send(this->queue_, {"a", std::string(queue::max_message_bytes + 1, 'x'), "b", "\xFF"});
  ASSERT_EQ(sent.size(), 4u);
  EXPECT_FALSE(sent[0]);
  ASSERT_TRUE(sent[1]);
  EXPECT_EQ(sent[1]->kind(), ErrorKind::invalid);
  EXPECT_FALSE(sent[2]);
  ASSERT_TRUE(sent[3]);
  EXPECT_EQ(sent[3]->kind(), ErrorKind::invalid);
  EXPECT_EQ(this->queues().depth(this->queue_).visible, 2u);
  const auto removed = this->queues().remove(this->queue_, {Receipt("nonsense"), this->receive_one().receipt});
  ASSERT_EQ(removed.size(), 2u);
  ASSERT_TRUE(removed[0]);
  EXPECT_EQ(removed[0]->kind(), ErrorKind::invalid);
  EXPECT_FALSE(removed[1]);
}

TYPED_TEST_P(MessageQueueSuite, TakesTheLargestMessage) {
  const std::string largest(queue::max_message_bytes, 'x');
  this->send({largest});
  EXPECT_EQ(this->receive_one().body, largest);
}

TYPED_TEST_P(MessageQueueSuite, MovesSpentMessagesToTheDeadLetterQueue) {
  const QueueName dead(this->kind_.name("dead")), queue(this->kind_.name("with-dead"));
  this->queues().create(dead, {});
  queue::QueueSettings settings;
  settings.dead_letter = dead;
  settings.max_receive_count = 2;
  this->queues().create(queue, settings);
  this->queues().send(queue, {"poison"});
  for (std::uint32_t i = 1; i <= 2; ++i) {
    const auto messages = this->queues().receive(queue, 1, Milliseconds(0), {});
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].receive_count, i);
    this->queues().set_visibility(queue, {messages[0].receipt}, std::chrono::seconds(0));
  }
  EXPECT_EQ(this->queues().depth(dead).total(), 0u);  // it moves with the receive that would be one too many
  EXPECT_THAT(this->queues().receive(queue, 1, Milliseconds(0), {}), ::testing::IsEmpty());
  EXPECT_EQ(this->queues().depth(queue).total(), 0u);
  const auto moved = this->queues().receive(dead, 1, Milliseconds(0), {});
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].body, "poison");
}

TYPED_TEST_P(MessageQueueSuite, DelaysMessages) {
  this->send({"later"}, std::chrono::seconds(2));
  EXPECT_EQ(this->queues().depth(this->queue_).delayed, 1u);
  EXPECT_THAT(this->receive(), ::testing::IsEmpty());
  if (!this->kind_.advance(Milliseconds(2500))) GTEST_SKIP() << too_long;
  EXPECT_EQ(this->receive_one().body, "later");
}

TYPED_TEST_P(MessageQueueSuite, DropsExpiredMessages) {
  queue::QueueSettings settings;
  settings.retention = std::chrono::seconds(60);
  this->queues().create(this->queue_, settings);
  this->send({"old"});
  if (!this->kind_.advance(std::chrono::seconds(59))) GTEST_SKIP() << too_long;
  this->send({"young"});
  this->kind_.advance(std::chrono::seconds(2));
  EXPECT_EQ(this->queues().depth(this->queue_).total(), 1u);
  EXPECT_EQ(this->receive_one().body, "young");
}

TYPED_TEST_P(MessageQueueSuite, WaitsForTheFirstMessage) {
  std::jthread sender([&] {
    std::this_thread::sleep_for(Milliseconds(50));
    this->send({"x"});
  });
  EXPECT_EQ(this->receive(10, std::chrono::seconds(20)).size(), 1u);
}

TYPED_TEST_P(MessageQueueSuite, GivesUpWaiting) {
  EXPECT_THAT(this->receive(1, Milliseconds(1000)), ::testing::IsEmpty());
  std::stop_source stop;
  stop.request_stop();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(this->queues().receive(this->queue_, 1, std::chrono::seconds(20), stop.get_token()),
              ::testing::IsEmpty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TYPED_TEST_P(MessageQueueSuite, StopsWaitingWhenAsked) {
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(Milliseconds(300));
    stop.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(this->queues().receive(this->queue_, 1, std::chrono::seconds(20), stop.get_token()),
              ::testing::IsEmpty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TYPED_TEST_P(MessageQueueSuite, SendsMoreThanOneRequestTakes) {
  // Together 3 MiB: a batch of SQS has at most ten messages, and 1 MiB.
  std::vector<std::string> bodies;
  for (int i = 0; i < 12; ++i) bodies.push_back(std::to_string(i) + ":" + std::string(256 << 10, 'x'));
  this->send(bodies);
  std::set<std::string> received;
  std::vector<Receipt> receipts;
  for (int round = 0; round < 50 && received.size() < bodies.size(); ++round) {
    for (const auto& message : this->receive()) {
      received.insert(message.body);
      receipts.push_back(message.receipt);
    }
  }
  EXPECT_EQ(received, std::set<std::string>(bodies.begin(), bodies.end()));
  const auto hidden = this->queues().set_visibility(this->queue_, receipts, std::chrono::seconds(60));
  EXPECT_EQ(hidden.size(), bodies.size());
  EXPECT_THAT(hidden, ::testing::Each(::testing::Eq(std::nullopt)));
  EXPECT_THAT(this->queues().remove(this->queue_, receipts), ::testing::Each(::testing::Eq(std::nullopt)));
  EXPECT_EQ(this->queues().depth(this->queue_).total(), 0u);
}

TYPED_TEST_P(MessageQueueSuite, NamesAQueueForNotificationRules) {
  const QueueName other(this->kind_.name("other"));
  queue::QueueSettings settings;
  settings.event_sources = {BucketName("a-bucket"), BucketName("another-bucket")};
  this->queues().create(other, settings);
  const std::string target = this->queues().notification_target(other);
  EXPECT_THAT(target, ::testing::EndsWith(other.str()));
  EXPECT_NE(target, this->queues().notification_target(this->queue_));
  this->queues().create(other, settings);  // again: nothing changes
  EXPECT_EQ(this->queues().notification_target(other), target);
  EXPECT_EQ(error_of([&] { this->queues().notification_target(QueueName(this->kind_.name("none"))); }).kind(),
            ErrorKind::not_found);
}

TYPED_TEST_P(MessageQueueSuite, ManagesQueues) {
  EXPECT_TRUE(this->queues().exists(this->queue_));
  EXPECT_FALSE(this->queues().exists(QueueName(this->kind_.name("none"))));
  const QueueName other(this->kind_.name("other"));
  this->queues().create(other, {});
  EXPECT_THAT(this->queues().list(this->kind_.name("o")), ::testing::ElementsAre(other));
  this->send({"a", "b"});
  this->queues().purge(this->queue_);
  EXPECT_EQ(this->queues().depth(this->queue_).total(), 0u);
  this->queues().destroy(other);
  EXPECT_FALSE(this->queues().exists(other));
  queue::QueueSettings settings;
  settings.dead_letter = QueueName(this->kind_.name("none"));
  EXPECT_EQ(error_of([&] { this->queues().create(this->queue_, settings); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { this->queues().create(QueueName("no spaces"), {}); }).kind(), ErrorKind::invalid);
}

TYPED_TEST_P(MessageQueueSuite, SaysThatAQueueIsMissing) {
  const QueueName none(this->kind_.name("none"));
  const auto kind_of = [](const auto& call) { return error_of(call).kind(); };
  EXPECT_EQ(kind_of([&] { this->queues().send(none, {"x"}); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { this->queues().visibility_timeout(none); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { this->queues().receive(none, 1, Milliseconds(0), {}); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { this->queues().depth(none); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { this->queues().remove(none, {}); }), ErrorKind::not_found);
}

TYPED_TEST_P(MessageQueueSuite, GivesEachMessageToOneOfManyReceivers) {
  constexpr int count = 200;
  std::vector<std::string> bodies;
  for (int i = 0; i < count; ++i) bodies.push_back(std::to_string(i));
  this->send(bodies);
  std::mutex mutex;
  std::multiset<std::string> received;
  {
    std::vector<std::jthread> receivers;
    for (int i = 0; i < 4; ++i) {
      receivers.emplace_back([&] {
        for (;;) {
          const auto messages = this->receive(10);
          if (messages.empty()) return;
          const std::scoped_lock lock(mutex);
          for (const auto& message : messages) received.insert(message.body);
        }
      });
    }
  }
  EXPECT_EQ(std::set<std::string>(received.begin(), received.end()),
            std::set<std::string>(bodies.begin(), bodies.end()));
  if constexpr (TypeParam::gives_messages_once) {
    EXPECT_EQ(received.size(), bodies.size());
  }
}

REGISTER_TYPED_TEST_SUITE_P(MessageQueueSuite, DeliversEveryMessage, HidesReceivedMessagesUntilTheirTimeout,
                            DeletesWithTheNewestReceiptOnly, KeepsMessagesInvisibleOnRequest, ReportsEveryEntryOnItsOwn,
                            TakesTheLargestMessage, MovesSpentMessagesToTheDeadLetterQueue, DelaysMessages,
                            DropsExpiredMessages, WaitsForTheFirstMessage, GivesUpWaiting, StopsWaitingWhenAsked,
                            TakesNewSettingsForAQueueThatIsThere, SendsMoreThanOneRequestTakes,
                            NamesAQueueForNotificationRules, ManagesQueues, SaysThatAQueueIsMissing,
                            GivesEachMessageToOneOfManyReceivers);

}  // namespace bale::testing
