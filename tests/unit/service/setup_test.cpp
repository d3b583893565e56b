// What `replicate init` waits for, which the embedded kinds never let it wait for.
#include "service/setup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"
#include "support/faulty_store.hpp"

namespace bale::service {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class SetupTest : public ::testing::Test {
 protected:
  SetupTest() {
    config_.settings.stack_name = "stack";
    config_.settings.enabled_regions = {{.region = region_}};
    config::Rule rule;
    rule.source.region = region_;
    rule.source.bucket = BucketName("source");
    rule.destinations.push_back({.region = region_, .bucket = BucketName("copy")});
    config_.rules.push_back(rule);
  }

  std::vector<SetupStep> set_up() { return set_up_replication(config_, ports_, outside_, /*dryrun=*/false); }

  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  const Region region_{"eu-west-1"};
  config::ReplicationConfig config_;
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(world_.path("local"), outside_);
  std::unique_ptr<store::ObjectStore> real_store_ = backend_->store(region_);
  std::unique_ptr<queue::MessageQueue> queues_ = backend_->queues(region_);
  std::unique_ptr<records::RecordStore> real_records_ = backend_->records(region_);
  testing::FaultyStore store_{*real_store_};
  testing::FaultyRecords records_{*real_records_};
  const Ports ports_{[this](const Region&) -> store::ObjectStore& { return store_; },
                     [this](const Region&) -> queue::MessageQueue& { return *queues_; },
                     [this](const Region&) -> records::RecordStore& { return records_; }};
  const Error not_allowed_ =
      Error(ErrorKind::invalid, "Unable to validate the following destination configurations (InvalidArgument)")
          .with_code("InvalidArgument");
};

TEST_F(SetupTest, WaitsUntilABucketMaySendToItsNewQueue) {
  store_.faults.arm("set_notifications", "", not_allowed_, 7);
  const auto before = world_.clock.steady();
  set_up();
  EXPECT_GT(world_.clock.steady() - before, std::chrono::seconds(20)) << "not one request after the other";
  for (const SetupStep& step : set_up()) EXPECT_TRUE(step.exists) << step.kind << " " << step.name;
}

TEST_F(SetupTest, DoesNotWaitForEverForAPermission) {
  store_.faults.arm("set_notifications", "", not_allowed_, 16);
  const auto before = world_.clock.steady();
  const Error error = error_of([&] { set_up(); });
  EXPECT_EQ(error.code(), "InvalidArgument");
  EXPECT_THAT(error.hint(), HasSubstr("may S3 send"));
  EXPECT_LT(world_.clock.steady() - before, std::chrono::minutes(2));
}

TEST_F(SetupTest, WaitsForNothingThatWaitingDoesNotMend) {
  store_.faults.arm("set_notifications", "", Error(ErrorKind::invalid, "no such event").with_code("InvalidArgument"));
  const auto before = world_.clock.steady();
  EXPECT_THAT(error_of([&] { set_up(); }).what(), HasSubstr("no such event"));
  EXPECT_EQ(world_.clock.steady(), before);
}

TEST_F(SetupTest, StopsWaitingWhenTheWorldStops) {
  store_.faults.arm("set_notifications", "", not_allowed_);
  world_.stop.request_stop();
  EXPECT_EQ(error_of([&] { set_up(); }).kind(), ErrorKind::cancelled);
}

TEST_F(SetupTest, LeavesTheRulesOfAnotherStackAlone) {
  const auto ids = [&] {
    std::vector<std::string> all;
    for (const auto& rule : real_store_->get_notifications(BucketName("source"))) all.push_back(rule.id);
    return all;
  };
  config_.rules[0].source.prefix = "a";
  config_.settings.stack_name = "stack-two";
  set_up();
  config_.rules[0].source.prefix = "b";
  config_.settings.stack_name = "stack";
  set_up();
  EXPECT_EQ(ids().size(), 2u);
  config_.rules[0].source.prefix = "c";  // the rule for "b" has left the configuration
  set_up();
  EXPECT_THAT(ids(), UnorderedElementsAre(HasSubstr("stack-two"), HasSubstr("-c-")));
}

TEST_F(SetupTest, TakesATableThatAnotherMakesAtTheSameTime) {
  const TableName table = config::replication_table(config_.settings);
  records_.faults.arm("create_table", table.str(),
                      Error(ErrorKind::precondition, "the table exists").with_code("ResourceInUseException"), 1,
                      testing::FaultTime::after);
  bool found = false;
  for (const SetupStep& step : set_up()) {
    if (step.kind != "table" || step.name != table.str()) continue;
    found = true;
    EXPECT_TRUE(step.exists) << "it was made by somebody else";
  }
  EXPECT_TRUE(found);
  EXPECT_TRUE(real_records_->describe_table(table));
}

TEST_F(SetupTest, SaysWhenATableCannotBeMade) {
  records_.faults.arm("create_table", "",
                      Error(ErrorKind::precondition, "being deleted").with_code("ResourceInUseException"));
  EXPECT_THAT(error_of([&] { set_up(); }).what(), HasSubstr("being deleted"));
}

TEST_F(SetupTest, ABucketThatAnotherMakesAtTheSameTimeIsThere) {
  int made_before = 0;
  store_.before = [&](const std::string& method, const std::string&) {
    if (method != "create_bucket") return;
    for (const char* name : {"source", "copy"}) {
      if (real_store_->head_bucket(BucketName(name))) continue;
      real_store_->create_bucket(BucketName(name));
      ++made_before;
    }
  };
  set_up();
  EXPECT_EQ(made_before, 2);
  for (const SetupStep& step : set_up()) EXPECT_TRUE(step.exists) << step.kind << " " << step.name;
}

}  // namespace
}  // namespace bale::service
