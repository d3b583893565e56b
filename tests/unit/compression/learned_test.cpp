// What is learned stays at hand whatever becomes of the table.
#include "compression/learned.hpp"

#include <thread>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::compression {
namespace {

using testing::FaultTime;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ClassStatistics trials(int level, int count = 1) {
  ClassStatistics some;
  for (int i = 0; i < count; ++i)
    some.add(Trial{.level = level, .objects = 2, .bytes = 1000, .probed = 500, .stored = 400, .seconds = 0.001});
  return some;
}

class LearnedTest : public ::testing::Test {
 protected:
  void SetUp() override { embedded_->create_table(name_, {{"BucketPrefix", records::KeyType::string}, std::nullopt}); }
  std::uint64_t in_table() {
    const auto item = embedded_->get(name_, key_item(key_));
    return item ? read_class(*item).present.trials() : 0;
  }
  std::uint64_t at_hand() { return learned_.statistics(key_).trials(); }

  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<records::RecordStore> embedded_ = backend_->records(Region("eu-west-1"));
  TableName name_{"settings"};
  testing::FaultyRecords faulty_{*embedded_};
  SettingsTable table_{faulty_, name_, outside_.clock, {}};
  std::vector<Error> warnings_;
  Learned learned_{&table_, outside_.clock, [this](const Error& error) { warnings_.push_back(error); }};
  const std::string key_ = "#text-0#b/p/";
};

TEST_F(LearnedTest, WhatOthersLearnIsSeenWithinAMinute) {
  learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 1u);
  table_.add(key_, trials(6, 10), 0);
  EXPECT_EQ(at_hand(), 1u);
  outside_.clock.advance(Milliseconds(60'000));
  EXPECT_EQ(at_hand(), 11u);
  // An own addition brings the others' along.
  table_.add(key_, trials(6, 10), 0);
  learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 22u);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(LearnedTest, DuringAnOutageItLearnsOnAndWritesLater) {
  const Error down = Error(ErrorKind::unavailable, "no connection").without_effect();
  faulty_.faults.arm("get", "", down);
  EXPECT_EQ(at_hand(), 0u);
  EXPECT_THAT(warnings_, SizeIs(1));
  // The table is left alone: no request, no warning, and nothing is forgotten.
  const int asked = faulty_.faults.calls("get") + faulty_.faults.calls("add");
  for (int i = 0; i < 5; ++i) learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 5u);
  EXPECT_EQ(faulty_.faults.calls("get") + faulty_.faults.calls("add"), asked);
  outside_.clock.advance(Milliseconds(60'000));
  faulty_.faults.arm("add", "", down, 6);
  learned_.add(key_, trials(6));
  EXPECT_THAT(warnings_, SizeIs(2));
  EXPECT_EQ(in_table(), 0u);
  outside_.clock.advance(Milliseconds(60'000));
  learned_.add(key_, trials(6));
  EXPECT_EQ(in_table(), 7u);
  EXPECT_EQ(at_hand(), 7u);
  EXPECT_THAT(warnings_, SizeIs(2));
}

TEST_F(LearnedTest, AWallClockThatJumpsChangesNothing) {
  learned_.add(key_, trials(6));
  outside_.clock.set(from_epoch_ms(0));
  learned_.add(key_, trials(6));
  outside_.clock.set(from_epoch_ms(4'000'000'000'000));
  learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 3u);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(LearnedTest, AnUnknownOutcomeIsReckonedWithButNotAddedAgain) {
  learned_.add(key_, trials(6));
  faulty_.faults.arm("add", "", Error(ErrorKind::unavailable, "the connection broke"), 1, FaultTime::after);
  learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 2u);
  EXPECT_THAT(warnings_, SizeIs(1));
  outside_.clock.advance(Milliseconds(60'000));
  learned_.add(key_, trials(6));
  EXPECT_EQ(in_table(), 3u);
}

TEST_F(LearnedTest, AMissingTableIsSaidAndBorne) {
  embedded_->delete_table(name_);
  for (int i = 0; i < 3; ++i) learned_.add(key_, trials(6));
  EXPECT_EQ(at_hand(), 3u);
  ASSERT_THAT(warnings_, SizeIs(1));
  EXPECT_EQ(warnings_[0].kind(), ErrorKind::not_found);
}

TEST_F(LearnedTest, DamageIsSaidOnce) {
  records::Item item = key_item("b/p/");
  item["LevelStats"] = "x";
  embedded_->put(name_, item);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(learned_.benefits("b/p/"), PrefixBenefits{});
    outside_.clock.advance(Milliseconds(60'000));
  }
  ASSERT_THAT(warnings_, SizeIs(1));
  EXPECT_EQ(warnings_[0].kind(), ErrorKind::corrupt);
  EXPECT_EQ(warnings_[0].where(), "b/p/");
}

TEST_F(LearnedTest, WithoutATableGenerationsAreForgottenToo) {
  Learned alone(nullptr, outside_.clock, [](const Error&) { ADD_FAILURE(); });
  for (std::uint64_t i = 0; i < 10 * generation_trials; ++i) alone.add(key_, trials(6));
  const std::uint64_t left = alone.statistics(key_).trials();
  EXPECT_GE(left, generation_trials);
  EXPECT_LT(left, 2 * generation_trials + 1);
}

TEST_F(LearnedTest, ThreadsLoseNothing) {
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread)
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 25; ++i) {
          learned_.add(key_, trials(thread));
          learned_.statistics(key_);
        }
      });
  }
  EXPECT_EQ(at_hand(), 150u);
  EXPECT_EQ(in_table(), 150u);
}

}  // namespace
}  // namespace bale::compression
