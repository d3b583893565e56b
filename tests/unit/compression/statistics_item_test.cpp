#include "compression/statistics_item.hpp"

#include "embedded/record_rules.hpp"

namespace bale::compression {
namespace {

using records::Item;
using records::Map;
using records::Number;
using records::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const TimePoint now = from_epoch_ms(1'700'000'000'999);
const records::KeySchema schema{{"BucketPrefix", records::KeyType::string}, std::nullopt};

Item applied(Item item, const std::vector<records::Update>& updates) {
  for (const records::Update& update : updates) item = embedded::apply(schema, item, update);
  return item;
}

Item added(Item item, const PrefixBenefits& more) {
  return applied(applied(std::move(item), make_prefix_places(more)), {add_to_prefix(more, now)});
}

Item added(Item item, const ClassStatistics& more, std::uint64_t generation = 0) {
  return applied(applied(std::move(item), make_class_places(more, generation)), {add_to_class(more, generation, now)});
}

PrefixBenefits one_archive(int level, double benefit) {
  PrefixBenefits more;
  more.levels[level] = {benefit, 1, 25};
  more.sum_cpu_factor = 4.5;
  more.total_processed_files = 25;
  more.version = 1;
  return more;
}

Trial trial(int level, double stored = 400) {
  return {.level = level, .objects = 3, .bytes = 1000, .probed = 500, .stored = stored, .seconds = 0.000'125};
}

TEST(StatisticsItemTest, KeysAreThoseOfTheReplacedProgram) {
  EXPECT_EQ(settings_key(BucketName("b"), ""), "b/");
  EXPECT_EQ(settings_key(BucketName("b"), "p"), "b/p/");
  EXPECT_EQ(settings_key(BucketName("b"), "p/q/"), "b/p/q/");
  EXPECT_EQ(class_key("b/p/", classify("x.txt", 0.1)), "#text-0#b/p/");
}

TEST(StatisticsItemTest, APrefixHasTheDocumentedForm) {
  const Item item = added(added(key_item("b/p/"), one_archive(12, 0.25)), one_archive(12, -0.000'000'5));
  EXPECT_EQ(
      records::to_dynamodb_json(item),
      R"({"BucketPrefix":{"S":"b/p/"},"LastUpdated":{"N":"1700000000"},)"
      R"("LevelStats":{"M":{"12":{"M":{"objects":{"N":"50"},"sum_benefit":{"N":"0.2499995"},"trials":{"N":"2"}}}}},)"
      R"("SumCpuFactor":{"N":"9"},"TotalProcessedFiles":{"N":"50"},"Version":{"N":"2"}})");
  PrefixBenefits sum = one_archive(12, 0.25);
  sum.add(one_archive(12, -0.000'000'5));
  EXPECT_EQ(read_prefix(item).benefits, sum);
  EXPECT_THAT(read_prefix(item).warnings, IsEmpty());
}

TEST(StatisticsItemTest, AnItemOfTheReplacedProgramGoesOn) {
  // As that program makes it: empty first, and once without the number of objects.
  const Item empty = records::from_dynamodb_json(
      R"({"BucketPrefix":{"S":"b/"},"SumCpuFactor":{"N":"0"},"LevelStats":{"M":{}},"TotalProcessedFiles":{"N":"0"},)"
      R"("Version":{"N":"0"},"LastUpdated":{"N":"1690000000"}})");
  EXPECT_EQ(read_prefix(empty).benefits, PrefixBenefits{});
  EXPECT_EQ(read_prefix(added(empty, one_archive(3, 1))).benefits, one_archive(3, 1));
  const Item old = records::from_dynamodb_json(
      R"({"BucketPrefix":{"S":"b/"},"LevelStats":{"M":{"11":{"M":{"sum_benefit":{"N":"1.5"},"trials":{"N":"12"}}}}},)"
      R"("Version":{"N":"12"},"SumCpuFactor":{"N":"54.25"}})");
  const PrefixBenefits read = read_prefix(old).benefits;
  EXPECT_EQ(read.levels.at(11), (LevelBenefit{1.5, 12, 12}));
  EXPECT_EQ(read.sum_cpu_factor, 54.25);
}

TEST(StatisticsItemTest, AClassComesBackAsTheSumOfWhatWasAdded) {
  ClassStatistics first, second, both;
  first.add(trial(0, 1020));
  first.add(trial(12));
  second.add(trial(12, 300));
  second.add(trial(22));
  both.add(first);
  both.add(second);
  const ClassRead read = read_class(added(added(key_item("k"), first, 7), second, 7));
  EXPECT_THAT(read.warnings, IsEmpty());
  EXPECT_EQ(read.generation, 7u);
  for (int level = min_level; level <= max_level; ++level) {
    EXPECT_EQ(read.present.at(level).trials, both.at(level).trials);
    EXPECT_NEAR(read.present.at(level).stored, both.at(level).stored, 1e-9);
    EXPECT_NEAR(read.present.at(level).seconds, both.at(level).seconds, 1e-11);
    EXPECT_NEAR(read.present.at(level).log_square, both.at(level).log_square, 1e-11);
  }
}

TEST(StatisticsItemTest, ANewGenerationForgetsTheOneBeforeTheLast) {
  ClassStatistics some;
  some.add(trial(5));
  Item item = added(key_item("k"), some, 0);
  for (const std::uint64_t next : {1U, 2U}) item = added(applied(item, {begin_generation(next, next - 1)}), some, next);
  EXPECT_FALSE(item.contains("Sums0"));
  EXPECT_TRUE(item.contains("Sums1"));
  const ClassRead read = read_class(item);
  EXPECT_EQ(read.generation, 2u);
  EXPECT_EQ(read.present.trials(), 1u);
  EXPECT_EQ(read.before.trials(), 1u);
}

TEST(StatisticsItemTest, WhatIsDamagedIsLeftOutAndSaid) {
  PrefixBenefits good = one_archive(12, 0.25);
  good.add(one_archive(3, 0.5));
  Item item = added(key_item("b/"), good);
  Map& levels = std::get<Map>(item.at("LevelStats").data);
  levels["twelve"] = Value(Map{});
  levels["99"] = Value(Map{});
  levels["4"] = Value("text");
  std::get<Map>(levels.at("12").data)["trials"] = Value(Number{"-3"});
  item["Version"] = Value("many");
  const PrefixRead read = read_prefix(item);
  EXPECT_EQ(read.benefits.levels.size(), 1u);
  EXPECT_EQ(read.benefits.levels.at(3).sum_benefit, 0.5);
  EXPECT_EQ(read.benefits.version, 0u);
  EXPECT_THAT(read.warnings, ElementsAre(HasSubstr("'trials' of LevelStats.12 is not a count"),
                                         HasSubstr("'4' of LevelStats is not a map"), HasSubstr("'99' of LevelStats"),
                                         HasSubstr("'twelve' of LevelStats is not a level"), HasSubstr("'Version'")));
  EXPECT_THAT(read_prefix({{"LevelStats", Value(true)}}).warnings,
              ElementsAre("'LevelStats' of the item is not a map"));
}

TEST(StatisticsItemTest, AClassLevelIsBelievedAsAWholeOrNotAtAll) {
  ClassStatistics some;
  some.add(trial(5));
  some.add(trial(6));
  for (const char* wrong : {"0", "-1", "1e30", "not a number"}) {
    Item item = added(key_item("k"), some, 0);
    Map& level = std::get<Map>(std::get<Map>(item.at("Sums0").data).at("5").data);
    level["stored"] = Value(Number{wrong});
    const ClassRead read = read_class(item);
    EXPECT_EQ(read.present.at(5).trials, 0u) << wrong;
    EXPECT_EQ(read.present.at(6).trials, 1u) << wrong;
  }
  EXPECT_THAT(read_class({{"Generation", Value("x")}}).warnings, ElementsAre(HasSubstr("'Generation'")));
}

TEST(TrialTest, OnlySoundOnesCount) {
  EXPECT_TRUE(trial(12).is_sound());
  EXPECT_TRUE(trial(0).is_sound());
  EXPECT_FALSE(trial(23).is_sound());
  EXPECT_FALSE(trial(-1).is_sound());
  EXPECT_FALSE(trial(12, 0).is_sound());
  EXPECT_FALSE(trial(12, std::nan("")).is_sound());
  Trial jumped = trial(12);
  jumped.seconds = -1;
  EXPECT_FALSE(jumped.is_sound());
}

}  // namespace
}  // namespace bale::compression
