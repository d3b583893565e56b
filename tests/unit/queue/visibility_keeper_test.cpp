// Messages stay invisible while their work goes on. (DA14)
#include "queue/visibility_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"

namespace bale::queue {
namespace {

constexpr std::chrono::seconds timeout{1};

class VisibilityKeeperTest : public ::testing::Test {
 protected:
  VisibilityKeeperTest() {
    QueueSettings settings;
    settings.visibility_timeout = timeout;
    queues->create(name, settings);
    queues->send(name, {"x"});
  }
  std::vector<Message> receive(Milliseconds wait = Milliseconds(0)) { return queues->receive(name, 1, wait, {}); }

  const QueueName name{"queue"};
  testing::FakeWorld outside;
  os::World world{os::system_clock(), outside.entropy,  outside.environment,
                  *outside.files,     outside.terminal, outside.stop.get_token()};
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<MessageQueue> queues = backend->queues(Region("eu-west-1"));
};

TEST_F(VisibilityKeeperTest, HoldsAMessageAsLongAsItsWorkTakes) {
  VisibilityKeeper keeper(*queues, name, timeout, os::system_clock());
  const auto held = receive();
  ASSERT_EQ(held.size(), 1u);
  keeper.hold(held);
  EXPECT_THAT(receive(Milliseconds(3000)), ::testing::IsEmpty()) << "three times its timeout";
  keeper.drop({held[0].receipt});
  EXPECT_THAT(receive(Milliseconds(5000)), ::testing::SizeIs(1)) << "nobody holds it any more";
}

TEST_F(VisibilityKeeperTest, TriesAgainInTimeWhenAnExtensionFails) {
  testing::FaultyQueue faulty(*queues);
  std::atomic<int> told{0};
  VisibilityKeeper keeper(faulty, name, timeout, os::system_clock(), [&](const Error&) { ++told; });
  faulty.faults.arm("set_visibility", "queue", Error(ErrorKind::unavailable, "no answer"));
  const auto held = receive();
  keeper.hold(held);
  EXPECT_THAT(receive(Milliseconds(2000)), ::testing::IsEmpty());
  EXPECT_EQ(told, 1);
}

TEST_F(VisibilityKeeperTest, EndsWithItsProcess) {
  {
    VisibilityKeeper keeper(*queues, name, timeout, os::system_clock());
    keeper.hold(receive());
  }
  EXPECT_THAT(receive(Milliseconds(5000)), ::testing::SizeIs(1));
}

}  // namespace
}  // namespace bale::queue
