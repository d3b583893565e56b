// Messages and uploads under wall clocks that are years off, that jump, and that lie after a restart of the machine.
#include "embedded/store_clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sequencer_order.hpp"
#include "crash/crash_files.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"

namespace bale::embedded {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto year = 24h * 365;
const Region here("eu-west-1");
const BucketName bucket("bucket");
const QueueName events("events");
const ObjectAddress object{bucket, ObjectKey("key")};

/// Real files on a machine that a test can restart.
class MachineFiles final : public testing::ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const os::fs::path& path) override {
    if (path != "/proc/sys/kernel/random/boot_id") return real_.open_if_exists(path);
    return real_.open_if_exists(boot_id);
  }
  os::fs::path boot_id;
};

class StoreClockTest : public ::testing::Test {
 protected:
  StoreClockTest() {
    files_.boot_id = outside_.write("boot", std::string(36, 'a'));
    outside_.files = &files_;
    open();
    queues_->create(events, {.visibility_timeout = 30s, .retention = 24h * 14});
    store_->create_bucket(bucket);
    store_->set_notifications(
        bucket, {{.id = "all", .queue = events.str(), .events = {"s3:ObjectCreated:*"}, .prefix = {}, .suffix = {}}});
    queues_->purge(events);
  }
  void open() {
    store_.reset();
    queues_.reset();
    backend_.reset();
    backend_ = Backend::open(outside_.path("local"), world_);
    store_ = backend_->store(here);
    queues_ = backend_->queues(here);
  }
  /// The steady clock begins anew, and the wall clock shows what it likes.
  void restart_machine(TimePoint wall) {
    store_.reset();
    queues_.reset();
    backend_.reset();
    outside_.write("boot", std::string(36, static_cast<char>('b' + ++restarts_ % 20)));
    outside_.clock.restart();
    outside_.clock.set(wall);
    open();
  }
  void set_wall(TimePoint time) { outside_.clock.set(time); }
  void step_wall(Milliseconds step) { outside_.clock.set(outside_.clock.now() + step); }
  void send(const std::string& body) { EXPECT_FALSE(queues_->send(events, {body}).at(0)); }
  std::vector<std::string> receive(Milliseconds wait = 0ms) {
    std::vector<std::string> bodies;
    for (auto& message : queues_->receive(events, 10, wait, {})) {
      bodies.push_back(message.body);
      receipts_.push_back(message.receipt);
    }
    return bodies;
  }

  testing::FakeWorld outside_;
  MachineFiles files_;
  os::World world_{outside_.clock, outside_.entropy, outside_.environment, files_, outside_.terminal, {}};
  const TimePoint today_ = outside_.clock.now();
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<queue::MessageQueue> queues_;
  std::vector<Receipt> receipts_;
  int restarts_ = 0;
};

TEST_F(StoreClockTest, AMessageOfAWrongYearIsNeitherDroppedNorHidden) {
  for (const TimePoint wrong : {TimePoint(), today_ + 15 * year, today_ - 20 * 24h, today_ + 24h}) {
    set_wall(wrong);
    send("first");
    set_wall(today_);
    send("second");
    EXPECT_THAT(receive(), ElementsAre("first", "second"));
    queues_->purge(events);
  }
}

TEST_F(StoreClockTest, AnEventIsSeenAtOnceWhateverItsObjectsLastModifiedIs) {
  set_wall(today_ + 15 * year);
  store::MemoryBody first(as_bytes("1")), second(as_bytes("2"));
  store_->put(object, first, {});
  set_wall(today_);
  store_->put(object, second, {});
  EXPECT_GT(store_->head(object)->last_modified, today_ + year) << "of a key it never goes back";
  EXPECT_EQ(receive().size(), 2u);
}

TEST_F(StoreClockTest, AVersionAfterABackfillOfAWrongYearIsTheLaterOne) {
  for (const auto wrong : {Milliseconds(1min), Milliseconds(20 * 24h), Milliseconds(15 * year)}) {
    set_wall(today_ + wrong);
    store::MemoryBody first(as_bytes("1")), second(as_bytes("2"));
    store_->put(object, first, {});
    // A backfill has the time of a listing, and no sequencer.
    const SourceOrder backfilled{{}, store_->list(bucket, {}).objects.at(0).last_modified};
    receive();
    set_wall(today_);
    store_->put(object, second, {});
    const std::string event = receive().at(0);
    const auto at = event.find("\"sequencer\":\"");
    ASSERT_NE(at, std::string::npos);
    const SourceOrder later{event.substr(at + 13, 16), store_->head(object)->last_modified};
    EXPECT_TRUE(later.is_after(backfilled));
    EXPECT_FALSE(backfilled.is_after(later));
    store_->remove(object);
  }
}

TEST_F(StoreClockTest, AMessageInFlightComesBackAfterItsTimeoutWhateverTheClockDoes) {
  for (const Milliseconds step :
       {Milliseconds(-24h), Milliseconds(-10 * year), Milliseconds(24h), Milliseconds(year)}) {
    send("m");
    EXPECT_THAT(receive(), ElementsAre("m"));
    step_wall(step);
    EXPECT_THAT(receive(), IsEmpty()) << "still in flight";
    EXPECT_EQ(queues_->depth(events).in_flight, 1u);
    outside_.clock.advance(20s);
    EXPECT_THAT(receive(), IsEmpty());
    outside_.clock.advance(11s);
    EXPECT_THAT(receive(), ElementsAre("m"));
    EXPECT_FALSE(queues_->set_visibility(events, {receipts_.back()}, 60s).at(0));
    step_wall(-step);
    outside_.clock.advance(61s);
    EXPECT_THAT(receive(), ElementsAre("m"));
    queues_->purge(events);
  }
}

TEST_F(StoreClockTest, ADelayEndsWhateverTheClockDoes) {
  EXPECT_FALSE(queues_->send(events, {"m"}, 900s).at(0));
  step_wall(-year);
  EXPECT_EQ(queues_->depth(events).delayed, 1u);
  outside_.clock.advance(901s);
  EXPECT_THAT(receive(), ElementsAre("m"));
}

TEST_F(StoreClockTest, RetentionCountsTimeThatPassed) {
  send("m");
  for (int i = 0; i < 50; ++i) step_wall(i % 2 == 0 ? Milliseconds(year) : Milliseconds(-year));
  step_wall(20 * year);
  EXPECT_EQ(queues_->depth(events).visible, 1u);
  EXPECT_THAT(receive(), ElementsAre("m"));
  set_wall(today_);
  outside_.clock.advance(24h * 13);
  EXPECT_THAT(receive(), ElementsAre("m"));
  outside_.clock.advance(24h + 1min);
  EXPECT_THAT(receive(), IsEmpty());
}

TEST_F(StoreClockTest, AnotherProcessGoesOnWithTheSameTime) {
  set_wall(today_ + 15 * year);
  send("m");
  EXPECT_THAT(receive(), ElementsAre("m"));
  set_wall(today_);
  open();
  EXPECT_THAT(receive(), IsEmpty());
  outside_.clock.advance(31s);
  open();
  EXPECT_THAT(receive(), ElementsAre("m"));
}

TEST_F(StoreClockTest, AfterARestartOfTheMachineTheWallClockIsBelievedForHalfADay) {
  send("m");
  EXPECT_THAT(receive(), ElementsAre("m"));
  EXPECT_FALSE(queues_->set_visibility(events, {receipts_.back()}, 12h).at(0));
  restart_machine(today_ + 24h * 3);
  EXPECT_THAT(receive(), ElementsAre("m")) << "it was off for three days";
  // A clock without a battery begins in 1970, and is set a moment later.
  for (int i = 0; i < 20; ++i) {
    restart_machine(TimePoint());
    restart_machine(today_ + year * i);
  }
  outside_.clock.advance(31s);
  EXPECT_THAT(receive(), ElementsAre("m")) << "neither lost nor hidden";
}

TEST_F(StoreClockTest, AfterARestartNothingIsHiddenForLongerThanATimeout) {
  for (int day = 0; day < 3; ++day) {
    send("m");  // the clock is kept as messages come
    outside_.clock.advance(24h);
  }
  EXPECT_EQ(receive().size(), 3u);
  restart_machine(today_ - year);
  outside_.clock.advance(31s + 10s);
  EXPECT_EQ(receive().size(), 3u);
}

TEST_F(StoreClockTest, TheAgeOfAnUploadIsTrue) {
  set_wall(TimePoint());
  store_->create_upload(object, {});
  set_wall(today_ + 15 * year);
  store_->create_upload(object, {});
  set_wall(today_);
  outside_.clock.advance(5min);
  for (const auto& upload : store_->list_uploads(bucket)) EXPECT_EQ(outside_.clock.now() - upload.initiated, 5min);
}

TEST_F(StoreClockTest, AMessageShowsWhenItWasSent) {
  set_wall(today_ + 15 * year);
  send("m");
  set_wall(today_);
  outside_.clock.advance(7s);
  EXPECT_EQ(outside_.clock.now() - queues_->receive(events, 1, 0ms, {}).at(0).sent, 7s);
}

TEST_F(StoreClockTest, MessagesOfAnEarlierBaleAreKept) {
  send("of 1970");
  send("of 2040");
  backend_.reset();
  Database database(outside_.path("local/bale.sqlite"));
  database.run_script("DROP TABLE store_clock");
  database.execute("UPDATE messages SET sent = 0, visible_at = 0 WHERE body = ?", Blob{"of 1970"});
  const std::int64_t later = to_epoch_ms(today_ + 15 * year);
  database.execute("UPDATE messages SET sent = ?, visible_at = ? WHERE body = ?", later, later, Blob{"of 2040"});
  open();
  EXPECT_THAT(receive(), ElementsAre("of 1970"));
  outside_.clock.advance(12h);
  EXPECT_THAT(receive(), ElementsAre("of 1970", "of 2040"));
}

}  // namespace
}  // namespace bale::embedded
