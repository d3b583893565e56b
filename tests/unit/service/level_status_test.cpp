// What status says of levels, against the embedded record store.
#include "service/level_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compression/cpu_benchmark.hpp"
#include "compression/settings_table.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::service {
namespace {

using compression::ClassStatistics;
using compression::PrefixBenefits;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double mib = 1 << 20, gib = 1 << 30;

class LevelStatusTest : public ::testing::Test {
 protected:
  LevelStatusTest() {
    config.settings.stack_name = "pets";
    config.rules.push_back(rule("cats", "in"));
    backend->records(region)->create_table(table, {{"BucketPrefix", records::KeyType::string}, {}});
  }
  config::Rule rule(const char* bucket, const char* prefix) const {
    config::Rule made;
    made.source.region = region;
    made.source.bucket = BucketName(bucket);
    made.source.prefix = prefix;
    made.destinations.push_back({.region = Region("us-east-1"), .bucket = BucketName("copy")});
    return made;
  }
  static ClassStatistics trials(int level, int count, double bytes, double stored, double seconds,
                                double probed_ratio = 0.5) {
    ClassStatistics some;
    for (int i = 0; i < count; ++i)
      some.add(compression::Trial{level, 3, bytes, bytes * probed_ratio, stored, seconds});
    return some;
  }
  static PrefixBenefits benefits(int level, double dollars, std::uint64_t count) {
    PrefixBenefits some;
    some.levels[level] = {dollars, count, 10 * count};
    some.total_processed_files = 10 * count;
    some.version = count;
    // Twice as slow as the reference machine.
    some.sum_cpu_factor = compression::to_foreign_factor(2) * static_cast<double>(count);
    return some;
  }
  LevelStatus status() {
    return level_status(
        config, [this](const Region& where) -> records::RecordStore& { return where == region ? faulty : *elsewhere; },
        prices);
  }

  const Region region{"eu-west-1"}, far{"ap-south-1"};
  const TableName table{"pets-compression-settings"};
  config::ReplicationConfig config;
  compression::Prices prices;
  testing::FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<records::RecordStore> here = backend->records(region), elsewhere = backend->records(far);
  testing::FaultyRecords faulty{*here};
  compression::SettingsTable learned{*here, table, outside.clock, {}};
};

TEST_F(LevelStatusTest, SumsWhatWasRecordedAtThePricesOfNow) {
  learned.add("#text-1#cats/in/", trials(9, 30, 4 * mib, mib, 0.1), 0);
  learned.add("#text-1#cats/in/", trials(3, 10, 4 * mib, 2 * mib, 0.02), 0);
  learned.add("#packed-4#cats/in/", trials(1, 30, mib, 1.001 * mib, 0.01, 1), 0);
  learned.add("cats/in/", benefits(9, 0.25, 40));
  prices.transfer_per_gib = 0.09;
  const LevelStatus found = status();
  ASSERT_THAT(found.sources, SizeIs(1));
  const SourceLevels& source = found.sources[0];
  EXPECT_EQ(source.source, "cats/in/");
  EXPECT_EQ(source.region, region);
  EXPECT_THAT(source.warnings, IsEmpty());
  EXPECT_EQ(source.files, 400u);
  EXPECT_EQ(source.saved, 0.25);
  EXPECT_THAT(source.cpu_factor.value(), DoubleNear(2, 1e-9));
  ASSERT_THAT(source.classes, SizeIs(2));
  const ClassLevels& text = source.classes[0];
  EXPECT_EQ(text.content_class, "text-1");
  EXPECT_EQ(text.most_used_level, 9);
  EXPECT_EQ(text.sums.trials, 40u);
  EXPECT_EQ(text.sums.objects, 120u);
  EXPECT_EQ(text.sums.bytes, 160 * mib);
  EXPECT_EQ(text.sums.stored, 50 * mib);
  // 110 MiB were not moved; 3.2 seconds of the reference machine are 6.4 here, on one of the task's two cores.
  const double saved = 0.09 * 110 / 1024 - 6.4 / 60 * 0.000395 * 1.025 / 2;
  EXPECT_THAT(text.sums.saved, DoubleNear(saved, 1e-9));
  EXPECT_THAT(text.sums.saved_per_gib().value(), DoubleNear(saved / (160 * mib / gib), 1e-9));
  EXPECT_GE(text.best_level.value(), 9) << "twice as small for little time";
  EXPECT_EQ(source.classes[1].best_level, 0) << "nothing becomes smaller";
  EXPECT_EQ(source.sums.bytes, 190 * mib);
  prices.compute_per_minute = 900;
  EXPECT_EQ(status().sources[0].classes[0].best_level, 0) << "computing costs more than it saves";
}

TEST_F(LevelStatusTest, BothGenerationsCount) {
  learned.add("#log-0#cats/in/", trials(6, compression::generation_trials, mib, mib / 2, 0.1), 0);
  learned.add("#log-0#cats/in/", trials(7, 5, mib, mib / 2, 0.1), 1);
  const LevelStatus found = status();
  ASSERT_THAT(found.sources.at(0).classes, SizeIs(1));
  EXPECT_EQ(found.sources[0].classes[0].sums.trials, compression::generation_trials + 5);
}

TEST_F(LevelStatusTest, ShowsWhatTheReplacedProgramKnew) {
  learned.add("cats/in/", benefits(14, 3.5, 20));
  const SourceLevels source = status().sources.at(0);
  EXPECT_THAT(source.classes, IsEmpty());
  EXPECT_EQ(source.best_level, 14);
  EXPECT_EQ(source.most_used_level, 14);
  EXPECT_EQ(source.saved, 3.5);
  EXPECT_FALSE(source.sums.saved_per_gib());
  EXPECT_FALSE(source.is_empty());
}

TEST_F(LevelStatusTest, NothingLearnedIsAnEmptySource) {
  learned.add("dogs/", benefits(14, 3.5, 20));
  learned.add("#text-1#cats/in/more/", trials(9, 3, mib, mib / 2, 0.1), 0);
  const LevelStatus found = status();
  ASSERT_THAT(found.sources, SizeIs(1));
  EXPECT_TRUE(found.sources[0].is_empty());
}

TEST_F(LevelStatusTest, RulesThatLearnTogetherAreShownOnce) {
  config.rules.push_back(rule("cats", "in/"));
  config.rules.back().source.suffix = ".csv";
  config.rules.push_back(rule("cats", ""));
  config.rules.back().destinations[0].region = region;
  learned.add("#text-1#cats/", trials(9, 30, 4 * mib, mib, 0.1), 0);
  const LevelStatus found = status();
  ASSERT_THAT(found.sources, SizeIs(2));
  EXPECT_EQ(found.sources[1].source, "cats/");
  EXPECT_FALSE(found.sources[1].classes.at(0).best_level) << "where nothing crosses regions nothing is chosen";
}

TEST_F(LevelStatusTest, ReadsAllPages) {
  const std::string padding(390 * 1024, 'x');
  for (int i = 0; i < 6; ++i) {
    records::Item item = compression::key_item("cats" + std::to_string(i) + "/");
    item["Padding"] = records::Value(padding);
    here->put(table, item);
  }
  for (const char* name : {"a-0", "b-0", "y-0", "z-0"})
    learned.add(std::string("#") + name + "#cats/in/", trials(6, 1, mib, mib / 2, 0.1), 0);
  learned.add("cats/in/", benefits(14, 3.5, 20));
  const SourceLevels source = status().sources.at(0);
  EXPECT_GT(faulty.faults.calls("scan"), 1);
  EXPECT_THAT(source.classes, SizeIs(4)) << "classes of another version too";
  EXPECT_EQ(source.files, 200u);
}

TEST_F(LevelStatusTest, ATableThatCannotBeReadKeepsNoOtherBack) {
  config.rules.push_back(rule("dogs", ""));
  config.rules.back().source.region = far;  // whose table nobody made
  learned.add("cats/in/", benefits(14, 3.5, 20));
  LevelStatus found = status();
  EXPECT_THAT(found.sources, SizeIs(1));
  ASSERT_THAT(found.unread, SizeIs(1));
  EXPECT_EQ(found.unread[0].region, far);
  EXPECT_EQ(found.unread[0].table, table);
  EXPECT_EQ(found.unread[0].error.kind(), ErrorKind::not_found);
  faulty.faults.arm("scan", "", Error(ErrorKind::denied, "not for you"), 1);
  found = status();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.unread, SizeIs(2));
  faulty.faults.arm("scan", "", Error(ErrorKind::cancelled, "stopped"), 1);
  EXPECT_THROW(status(), Error);
}

TEST_F(LevelStatusTest, DamageIsLeftOutAndSaid) {
  learned.add("#text-1#cats/in/", trials(9, 3, mib, mib / 2, 0.1), 0);
  records::Item item = compression::key_item("#log-0#cats/in/");
  item["Generation"] = records::Value("x");
  here->put(table, item);
  item = compression::key_item("cats/in/");
  item["LevelStats"] = records::Value("x");
  item["TotalProcessedFiles"] = records::Value(std::int64_t{7});
  item["SumCpuFactor"] = records::Value(std::int64_t{-5});
  item["Version"] = records::Value(std::int64_t{1});
  here->put(table, item);
  const SourceLevels source = status().sources.at(0);
  EXPECT_THAT(source.classes, SizeIs(1));
  EXPECT_EQ(source.files, 7u);
  EXPECT_FALSE(source.cpu_factor);
  ASSERT_THAT(source.warnings, SizeIs(2));
  EXPECT_THAT(source.warnings[0], HasSubstr("LevelStats"));
  EXPECT_THAT(source.warnings[1], HasSubstr("#log-0#cats/in/"));
}

}  // namespace
}  // namespace bale::service
