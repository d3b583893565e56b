// The SQS kind against moto.
#include "cloud/sqs_queue.hpp"
#include "contract/message_queue_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

class MotoQueuesKind : public AsSqs {
 public:
  static constexpr bool knows_newest_receipt = false;  // any receipt that a message ever had will do
  static constexpr bool gives_messages_once = false;   // its threads choose messages without a lock

  queue::MessageQueue& queues() { return queues_; }
  std::string name(const std::string& name) { return unique_ + name; }
  bool advance(Milliseconds duration) { return wait_for_server(duration); }

 private:
  const std::string unique_ = unique_name("");
  ServerSession server_{"BALE_TEST_MOTO_ENDPOINT"};
  cloud::SqsQueues queues_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Moto, MessageQueueSuite, MotoQueuesKind);

TEST(MotoQueues, MayBeNamedByTheirUrls) {
  MotoQueuesKind kind;
  const QueueName name(kind.name("by-url")), url("https://sqs.eu-west-1.amazonaws.com/123456789012/" + name.str());
  EXPECT_FALSE(kind.queues().exists(url));
  kind.queues().create(name, {});
  EXPECT_TRUE(kind.queues().exists(url));
  EXPECT_FALSE(kind.queues().send(url, {"x"}).at(0));
  const auto messages = kind.queues().receive(url, 10, Milliseconds(0), {});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(kind.queues().remove(url, {messages[0].receipt}).at(0));
  EXPECT_EQ(kind.queues().depth(url).total(), 0u);
}

}  // namespace bale::testing
