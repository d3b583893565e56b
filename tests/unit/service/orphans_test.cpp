// What an edited configuration leaves behind is named, and brought to the rules that it is for.
#include "service/orphans.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embedded/backend.hpp"
#include "service/setup.hpp"
#include "store/events.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_queue.hpp"

namespace bale::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class OrphansTest : public ::testing::Test {
 protected:
  OrphansTest() {
    config_.settings.stack_name = "demo";
    config_.settings.enabled_regions = {{.region = region_}, {.region = far_}};
    config::Rule rule;
    rule.source.region = region_;
    rule.source.bucket = BucketName("source");
    rule.destinations.push_back({.region = region_, .bucket = BucketName("copy")});
    config_.rules.push_back(rule);
    set_up();
    old_ = queue_of(0);
    store_->set_notifications(BucketName("source"), {});  // no event comes by itself
    store_->set_notifications(config::outbound_bucket(config_.settings, region_), {});
    for (const QueueName& queue : queues_->list("")) queues_->purge(queue);
  }

  /// As `replicate init`, without the messages by which the store tries out new rules.
  void set_up() {
    const auto before = queues_->list("");
    set_up_replication(config_, ports_, outside_, /*dryrun=*/false);
    for (const QueueName& queue : queues_->list("")) {
      if (std::find(before.begin(), before.end(), queue) == before.end()) queues_->purge(queue);
    }
  }
  config::Source& source(std::size_t rule = 0) { return config_.rules.at(rule).source; }
  QueueName queue_of(std::size_t rule) { return config::source_queue(config_.settings, source(rule)); }
  void send(const QueueName& queue, const std::vector<std::string>& keys, const char* bucket = "source") {
    std::vector<store::ObjectEvent> events;
    for (const std::string& key : keys)
      events.push_back({BucketName(bucket), ObjectKey(key), false, 1, ETag("e"), VersionId(), "", {}});
    ASSERT_FALSE(queues_->send(queue, {store::make_backfill_message(events, region_)}).at(0));
  }
  Orphans find() { return find_orphans(config_, ports_); }
  std::vector<MovedMessages> move(bool dryrun = false) {
    return move_orphaned_messages(config_, find(), ports_, dryrun);
  }
  std::uint64_t visible(const QueueName& queue) { return queues_->depth(queue).visible; }

  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  const Region region_{"eu-west-1"}, far_{"us-east-1"};
  config::ReplicationConfig config_;
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(world_.path("local"), outside_);
  std::unique_ptr<store::ObjectStore> store_ = backend_->store(region_), far_store_ = backend_->store(far_);
  std::unique_ptr<queue::MessageQueue> queues_ = backend_->queues(region_), far_queues_ = backend_->queues(far_);
  std::unique_ptr<records::RecordStore> records_ = backend_->records(region_), far_records_ = backend_->records(far_);
  const Ports ports_{
      [this](const Region& r) -> store::ObjectStore& { return r == far_ ? *far_store_ : *store_; },
      [this](const Region& r) -> queue::MessageQueue& { return r == far_ ? *far_queues_ : *queues_; },
      [this](const Region& r) -> records::RecordStore& { return r == far_ ? *far_records_ : *records_; }};
  QueueName old_;
};

TEST_F(OrphansTest, NothingIsOrphanedByAConfigurationThatDidNotChange) {
  send(old_, {"a/1"});
  const Orphans orphans = find();
  EXPECT_TRUE(orphans.queues.empty());
  EXPECT_TRUE(orphans.notifications.empty());
  EXPECT_TRUE(orphans.staging.empty());
  EXPECT_THAT(move(), IsEmpty());
  EXPECT_EQ(visible(old_), 1u);
}

TEST_F(OrphansTest, APrefixThatIsAddedTakesItsMessagesAlong) {
  send(old_, {"a/1"});
  send(old_, {"b/2"});
  source().prefix = "a";
  set_up();
  const Orphans orphans = find();
  ASSERT_EQ(orphans.queues.size(), 1u);
  EXPECT_EQ(orphans.queues[0].queue, old_);
  EXPECT_EQ(orphans.queues[0].depth.visible, 2u);
  EXPECT_TRUE(orphans.any_waiting());
  const auto moved = move();
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_THAT(moved[0].to, ElementsAre(Pair(queue_of(0), 1u)));
  EXPECT_EQ(moved[0].kept, 1u);
  EXPECT_EQ(visible(old_), 1u) << "what no rule is for";
  EXPECT_TRUE(move().at(0).to.empty()) << "the second time there is nothing to move";
}

TEST_F(OrphansTest, ADryRunMovesNothing) {
  send(old_, {"a/1"});
  source().prefix = "a";
  set_up();
  EXPECT_EQ(move(/*dryrun=*/true).size(), 1u);
  EXPECT_EQ(visible(old_), 1u);
}

TEST_F(OrphansTest, ARuleThatIsSplitGetsEachMessageWhereItBelongs) {
  send(old_, {"a/1", "b/2"});
  send(old_, {"b/3.gz"});
  config_.rules.push_back(config_.rules[0]);
  source(0).prefix = "a";
  source(1).prefix = "b";
  set_up();
  move();
  EXPECT_EQ(visible(queue_of(0)), 1u);
  EXPECT_EQ(visible(queue_of(1)), 2u);
  EXPECT_EQ(queues_->depth(old_).total(), 0u);
  EXPECT_FALSE(find().any_waiting());
  source(1).suffix = ".gz";  // and once more
  set_up();
  move();
  EXPECT_EQ(visible(queue_of(1)), 1u);
}

TEST_F(OrphansTest, FailedMessagesStayFailed) {
  send(config::dead_letter_queue(old_), {"a/1"});
  source().prefix = "a";
  set_up();
  EXPECT_EQ(find().queues.at(0).failed, 1u);
  move();
  EXPECT_EQ(visible(config::dead_letter_queue(queue_of(0))), 1u);
  EXPECT_EQ(visible(queue_of(0)), 0u);
}

TEST_F(OrphansTest, MessagesOfARuleThatIsGoneAreNamedAndKept) {
  send(old_, {"a/1"});
  source().bucket = BucketName("other");
  set_up();
  EXPECT_THAT(move(), IsEmpty());
  EXPECT_EQ(find().queues.at(0).queue, old_);
  EXPECT_EQ(visible(old_), 1u);
}

TEST_F(OrphansTest, ABucketThatStillTellsTheQueueOfAGoneRuleIsNamed) {
  set_up();  // with its notification
  source().bucket = BucketName("other");
  set_up();
  const Orphans orphans = find();
  ASSERT_EQ(orphans.notifications.size(), 1u);
  EXPECT_EQ(orphans.notifications[0].bucket, BucketName("source"));
  EXPECT_EQ(orphans.notifications[0].queue, old_);
}

TEST_F(OrphansTest, ArchivesAndMessagesOfARegionThatIsNotUsedAnyMoreAreNamed) {
  config_.rules[0].destinations.push_back({.region = far_, .bucket = BucketName("far-copy")});
  set_up();
  const BucketName inbound = config::inbound_bucket(config_.settings, far_);
  store::MemoryBody body(as_bytes("archive"));
  far_store_->put({inbound, ObjectKey("source/backup_1.tar.zst")}, body, {});
  config_.rules[0].destinations.pop_back();
  config_.settings.enabled_regions.pop_back();  // the region's name is known of its buckets alone
  const Orphans orphans = find();
  ASSERT_EQ(orphans.staging.size(), 1u);
  EXPECT_EQ(orphans.staging[0].bucket, inbound);
  EXPECT_EQ(orphans.staging[0].archives, 1u);
  ASSERT_EQ(orphans.queues.size(), 1u);
  EXPECT_EQ(orphans.queues[0].queue, config::target_queue(config_.settings, far_));
  EXPECT_FALSE(orphans.queues[0].is_source);
  EXPECT_THAT(move(), IsEmpty());
}

TEST_F(OrphansTest, QueuesOfAnotherStackAreLeftAlone) {
  for (const char* name : {"demo-2-source-source", "demo-2-eu-west-1-relay", "demolition-source-source", "demo-mine"}) {
    queues_->create(QueueName(name), {});
    send(QueueName(name), {"a/1"});
  }
  EXPECT_TRUE(find().queues.empty());
  const QueueName nested("demo-source-2-source-source");  // of the stack "demo-source-2", or of a bucket of ours
  queues_->create(nested, {});
  send(nested, {"a/1"});
  EXPECT_THAT(move(), IsEmpty());
  EXPECT_EQ(visible(nested), 1u);
  EXPECT_EQ(queues_->receive(nested, 1, Milliseconds(0), {}).at(0).receive_count, 1u) << "nobody touched it";
}

TEST_F(OrphansTest, WhatMayNotBeListedIsSaid) {
  testing::FaultyQueue faulty(*queues_);
  faulty.faults.arm("list", "", Error(ErrorKind::denied, "sqs:ListQueues"), 1);
  Ports ports = ports_;
  ports.queues = [&](const Region& r) -> queue::MessageQueue& {
    return r == far_ ? *far_queues_ : static_cast<queue::MessageQueue&>(faulty);
  };
  const Orphans orphans = find_orphans(config_, ports);
  ASSERT_EQ(orphans.unseen.size(), 1u);
  EXPECT_EQ(orphans.unseen[0].kind(), ErrorKind::denied);
}

}  // namespace
}  // namespace bale::service
