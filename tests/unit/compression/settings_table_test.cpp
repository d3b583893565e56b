// The settings table on the embedded record store: writers at once, first uses, damage, faults. Time is a fake.
#include "compression/settings_table.hpp"

#include <thread>

#include "embedded/backend.hpp"
#include "records/retrying_records.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::compression {
namespace {

using testing::FaultTime;
using ::testing::IsEmpty;

Trial trial(int level) {
  return {.level = level, .objects = 2, .bytes = 1000, .probed = 500, .stored = 400, .seconds = 0.001};
}
ClassStatistics trials(int level, int count = 1) {
  ClassStatistics some;
  for (int i = 0; i < count; ++i) some.add(trial(level));
  return some;
}
PrefixBenefits archive_at(int level) {
  PrefixBenefits more;
  more.levels[level] = {0.25, 1, 2};
  more.sum_cpu_factor = 1.5;
  more.total_processed_files = 2;
  more.version = 1;
  return more;
}

class SettingsTableTest : public ::testing::Test {
 protected:
  void SetUp() override { embedded_->create_table(name_, {{"BucketPrefix", records::KeyType::string}, std::nullopt}); }
  ClassRead class_read() { return read_class(embedded_->get(name_, key_item(class_)).value()); }
  PrefixRead prefix_read() { return read_prefix(embedded_->get(name_, key_item(prefix_)).value()); }

  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<records::RecordStore> embedded_ = backend_->records(Region("eu-west-1"));
  TableName name_{"settings"};
  testing::FaultyRecords faulty_{*embedded_};
  SettingsTable table_{faulty_, name_, outside_.clock, {}};
  const std::string prefix_ = "b/p/", class_ = "#text-0#b/p/";
};

TEST_F(SettingsTableTest, TheFirstAdditionMakesTheItem) {
  EXPECT_FALSE(table_.read(class_));
  table_.add(class_, trials(12), 0);
  table_.add(prefix_, archive_at(12));
  EXPECT_EQ(class_read().present.at(12).trials, 1u);
  EXPECT_EQ(prefix_read().benefits, archive_at(12));
  // Known places: one request for an addition.
  const int before = faulty_.faults.calls("add") + faulty_.faults.calls("update") + faulty_.faults.calls("get");
  table_.add(class_, trials(12), 0);
  EXPECT_EQ(faulty_.faults.calls("add") + faulty_.faults.calls("update") + faulty_.faults.calls("get"), before + 1);
}

TEST_F(SettingsTableTest, NoWriterLosesAnother) {
  constexpr int writers = 8, each = 12;
  {
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        // Every writer has its own idea of the table, and meets the others at every level's first use.
        SettingsTable own(*embedded_, name_, os::system_clock(), {});
        for (int i = 0; i < each; ++i) {
          own.add(class_, trials((writer + i) % 5), 0);
          own.add(prefix_, archive_at(1 + i % 7));
        }
      });
    }
  }
  EXPECT_EQ(class_read().present.trials(), std::uint64_t{writers * each});
  EXPECT_EQ(class_read().present.at(3).bytes, 1000.0 * static_cast<double>(class_read().present.at(3).trials));
  const PrefixBenefits benefits = prefix_read().benefits;
  EXPECT_EQ(benefits.version, std::uint64_t{writers * each});
  EXPECT_EQ(benefits.total_processed_files, std::uint64_t{2 * writers * each});
  std::uint64_t all = 0;
  for (const auto& [level, benefit] : benefits.levels) all += benefit.trials;
  EXPECT_EQ(all, std::uint64_t{writers * each});
}

TEST_F(SettingsTableTest, GenerationsFollowEachOtherAndNoTrialIsLostBetweenThem) {
  constexpr int writers = 6, each = 60;
  static_assert(writers * each > generation_trials && writers * each < 2 * generation_trials);
  {
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&] {
        SettingsTable own(*embedded_, name_, os::system_clock(), {});
        for (int i = 0; i < each; ++i) own.add(class_, trials(i % 3), 0);  // and none hears of the new generation
      });
    }
  }
  const ClassRead read = class_read();
  EXPECT_EQ(read.generation, 1u);
  EXPECT_GE(read.before.trials(), generation_trials);
  EXPECT_EQ(read.before.trials() + read.present.trials(), std::uint64_t{writers * each});
}

TEST_F(SettingsTableTest, AWriterTwoGenerationsBehindAddsToThePresentOne) {
  for (int generation = 0; generation < 3; ++generation)
    table_.add(class_, trials(6, generation_trials), static_cast<std::uint64_t>(generation));
  EXPECT_EQ(class_read().generation, 3u);
  table_.add(class_, trials(9), 0);
  EXPECT_EQ(class_read().present.at(9).trials, 1u);
  EXPECT_FALSE(table_.read(class_)->contains("Sums0"));
}

TEST_F(SettingsTableTest, DamageBeginsANewGeneration) {
  table_.add(class_, trials(6), 0);
  const auto damages = std::to_array<std::pair<const char*, records::Value>>(
      {{"Generation", "x"},
       {"Sums0", "x"},
       {"Sums0", records::Map{{"6", "x"}}},
       {"Sums0", records::Map{{"6", records::Map{{"trials", "x"}}}}}});
  for (const auto& [attribute, value] : damages) {
    records::Item item = key_item(class_);
    item["Generation"] = records::Value(std::int64_t{0});
    item[attribute] = value;
    embedded_->put(name_, item);
    table_.add(class_, trials(6), 0);
    const ClassRead read = class_read();
    EXPECT_GT(read.generation, 1'700'000'000U) << attribute;
    EXPECT_EQ(read.present.at(6).trials, 1u) << attribute;
    EXPECT_THAT(read.warnings, IsEmpty()) << attribute;
  }
}

TEST_F(SettingsTableTest, ADamagedPrefixIsLeftAsItIs) {
  records::Item item = key_item(prefix_);
  item["LevelStats"] = "x";
  embedded_->put(name_, item);
  try {
    table_.add(prefix_, archive_at(12));
    ADD_FAILURE() << "added to what is no map";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
  }
  EXPECT_EQ(embedded_->get(name_, key_item(prefix_)), item);
}

TEST_F(SettingsTableTest, WhatCertainlyDidNothingIsTriedFiveTimesMore) {
  const Error throttled = Error(ErrorKind::throttled, "too fast");
  table_.add(class_, trials(6), 0);
  faulty_.faults.arm("add", "", throttled, 5);
  const auto start = outside_.clock.steady();
  table_.add(class_, trials(6), 0);
  EXPECT_EQ(outside_.clock.steady() - start, Milliseconds(100 * (1 + 2 + 3 + 4 + 5)));
  EXPECT_EQ(class_read().present.trials(), 2u);
  faulty_.faults.arm("add", "", throttled, 6);
  EXPECT_THROW(table_.add(class_, trials(6), 0), Error);
  EXPECT_EQ(class_read().present.trials(), 2u);
}

TEST_F(SettingsTableTest, ALostAnswerIsNotAddedTwice) {
  table_.add(class_, trials(6), 0);
  flow::Retrier retrier(world_, {});
  records::RetryingRecords retrying(faulty_, retrier);
  SettingsTable table(retrying, name_, outside_.clock, {});
  faulty_.faults.arm("add", "", Error(ErrorKind::unavailable, "the connection broke"), 1, FaultTime::after);
  EXPECT_THROW(table.add(class_, trials(6), 0), Error);
  EXPECT_EQ(class_read().present.trials(), 2u);
}

TEST_F(SettingsTableTest, AStopEndsTheWaits) {
  table_.add(class_, trials(6), 0);
  faulty_.faults.arm("add", "", Error(ErrorKind::throttled, "too fast"), 1);
  outside_.stop.request_stop();
  SettingsTable table(faulty_, name_, outside_.clock, outside_.stop.get_token());
  try {
    table.add(class_, trials(6), 0);
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

}  // namespace
}  // namespace bale::compression
