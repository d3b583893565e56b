#include "compression/level_model.hpp"

#include "archive/compress.hpp"
#include "compression/level_curves.hpp"
#include "support/fake_world.hpp"

namespace bale::compression {
namespace {

constexpr double mib = 1 << 20;

Workplace place_at(double transfer_per_gib, double cpu_factor = 1) {
  Prices prices;
  prices.transfer_per_gib = transfer_per_gib;
  return {CostModel(prices, {Region("eu-west-1")}, 2), cpu_factor};
}

/// Trials as the general curves foresee them, but for a factor on what is stored.
ClassStatistics trials_of(int level, int count, double stored_factor = 1, double probe = 0.4) {
  ClassStatistics statistics;
  const auto i = static_cast<std::size_t>(level - 1);
  for (int n = 0; n < count; ++n) {
    statistics.add(Trial{.level = level,
                         .objects = 10,
                         .bytes = mib,
                         .probed = probe * mib,
                         .stored = probe * mib * std::exp(general_gains[i]) * stored_factor,
                         .seconds = mib * std::exp(general_times[i])});
  }
  return statistics;
}

class LevelModelTest : public ::testing::Test {
 protected:
  testing::FakeEntropy entropy_;
  NormalNumbers numbers_{entropy_};
  std::function<double()> normal_ = [this] { return numbers_(); };
  const Portion portion_{64 * mib, 0.4};
};

TEST_F(LevelModelTest, KnowingNothingItFollowsPricesAndMachine) {
  const LevelModel model{ClassStatistics{}};
  const int usual = model.best_level(portion_, place_at(0.02));
  EXPECT_GE(usual, 6);
  EXPECT_LE(usual, 12);
  EXPECT_GT(model.best_level(portion_, place_at(2)), usual);         // moving is dear: work harder
  EXPECT_LT(model.best_level(portion_, place_at(0.0005)), usual);    // cheap: less
  EXPECT_EQ(model.best_level(portion_, place_at(0)), 0);             // nothing to win: store
  EXPECT_LE(model.best_level(portion_, place_at(0.02, 20)), usual);  // a slow machine: less
  EXPECT_GE(model.best_level(portion_, place_at(0.02, 0.02)), usual);
}

TEST_F(LevelModelTest, MemoryLimitsTheLevel) {
  Workplace place = place_at(2);
  place.most_level = 5;
  const LevelModel model{ClassStatistics{}};
  EXPECT_EQ(model.best_level(portion_, place), 5);
  for (int i = 0; i < 50; ++i) EXPECT_LE(model.try_level(portion_, place, normal_), 5);
}

TEST_F(LevelModelTest, WhatDoesNotCompressIsStoredOrTriedAtLevelOne) {
  const LevelModel model{ClassStatistics{}};
  for (int i = 0; i < 50; ++i) EXPECT_LE(model.try_level({mib, 1}, place_at(0.02), normal_), 1);
  // All levels lose money: level 0, where the replaced program takes 12.
  ClassStatistics losing;
  for (int i = 0; i < 20; ++i)
    losing.add(Trial{.level = 1, .objects = 1, .bytes = mib, .probed = mib, .stored = mib, .seconds = 0.01});
  EXPECT_EQ(LevelModel(losing).best_level({mib, 1}, place_at(0.02)), 0);
}

TEST_F(LevelModelTest, OneLevelsResultTellsOfItsNeighbours) {
  // Level 9 gave half of what is usual: so will 8 and 10, and its lead over them stays what it was.
  const LevelModel usual{ClassStatistics{}}, model{trials_of(9, 50, 0.5)};
  const auto ratio = [&](const LevelModel& of, int level) {
    return of.foresee(level, portion_, place_at(0.02)).stored / portion_.bytes;
  };
  for (const int level : {3, 8, 9, 10, 19})
    EXPECT_NEAR(ratio(model, level) / ratio(usual, level), 0.5, level > 7 && level < 11 ? 0.01 : 0.03) << level;
}

TEST_F(LevelModelTest, WhatWasTriedOftenIsKnown) {
  ClassStatistics statistics = trials_of(12, 40);
  statistics.add(trials_of(6, 40, 0.8));  // against all expectation level 6 saves more
  const LevelModel model(statistics);
  const int best = model.best_level(portion_, place_at(0.02));
  EXPECT_GE(best, 5);
  EXPECT_LE(best, 7);
}

TEST_F(LevelModelTest, ItTriesWhatMayBeBetterAndStopsAtAPlateau) {
  const Workplace place = place_at(0.02);
  const LevelModel nothing{ClassStatistics{}};
  std::map<int, int> tried;
  for (int i = 0; i < 300; ++i) ++tried[nothing.try_level(portion_, place, normal_)];
  EXPECT_GT(tried.size(), 2u);
  EXPECT_EQ(tried.count(0), 0u);  // never so bad a one
  EXPECT_LT(tried[22], 10);

  ClassStatistics statistics;
  for (int level = 1; level <= 14; ++level) statistics.add(trials_of(level, 100));
  const LevelModel known(statistics);
  EXPECT_LT(known.worth_of_knowing(portion_, place, normal_), nothing.worth_of_knowing(portion_, place, normal_));
  EXPECT_TRUE(known.is_settled(portion_, place, normal_));
  // The worth grows with the portion; whether it is settled does not depend on it.
  EXPECT_TRUE(known.is_settled({1000 * portion_.bytes, 0.4}, place, normal_));
}

TEST_F(LevelModelTest, DisagreeingTrialsAreTrustedLess) {
  // The mean of both is half of what is usual; what agrees is believed, what does not less.
  ClassStatistics wild = trials_of(12, 5, 0.2);
  wild.add(trials_of(12, 5, 0.8));
  const auto foreseen = [&](const ClassStatistics& statistics) {
    return LevelModel(statistics).foresee(12, portion_, place_at(0.02)).stored;
  };
  const double usual = foreseen({}), calm = foreseen(trials_of(12, 10, 0.5));
  EXPECT_NEAR(calm, 0.5 * usual, 0.01 * usual);
  EXPECT_GT(foreseen(wild), 1.03 * calm);
}

TEST(BestTriedLevelTest, HighestMeanBenefitPerByteAmongThoseWithTenTrials) {
  ClassStatistics statistics = trials_of(3, 10);
  EXPECT_EQ(best_tried_level(ClassStatistics{}, place_at(0.02)), std::nullopt);
  EXPECT_EQ(best_tried_level(statistics, place_at(0.02)), 3);
  statistics.add(trials_of(9, 9, 0.5));
  EXPECT_EQ(best_tried_level(statistics, place_at(0.02)), 3);
  statistics.add(trials_of(9, 1, 0.5));
  EXPECT_EQ(best_tried_level(statistics, place_at(0.02)), 9);
  // By byte, not by trial: a large portion does not make a level good.
  for (int i = 0; i < 10; ++i)
    statistics.add(
        Trial{.level = 1, .objects = 1, .bytes = 900 * mib, .probed = 400 * mib, .stored = 600 * mib, .seconds = 1});
  EXPECT_EQ(best_tried_level(statistics, place_at(0.02)), 9);
}

TEST(InheritedLevelTest, AsTheReplacedProgramWouldChoose) {
  PrefixBenefits benefits;
  EXPECT_EQ(inherited_level(benefits, 1), std::nullopt);
  benefits.levels[12] = {1.0, 10, 100};  // 0.010 an object
  benefits.levels[9] = {0.6, 20, 50};    // 0.012
  benefits.levels[3] = {9.0, 9, 10};     // too few trials
  benefits.levels[20] = {-5.0, 50, 10};  // loses
  EXPECT_EQ(inherited_level(benefits, 1), 9);
  benefits.version = 10;
  benefits.sum_cpu_factor = 10;
  EXPECT_EQ(inherited_level(benefits, 1), 9);
  EXPECT_EQ(inherited_level(benefits, 0.85), 10);
  EXPECT_EQ(inherited_level(benefits, 1.15), 8);
  benefits.levels = {{22, {1, 10, 1}}};
  EXPECT_EQ(inherited_level(benefits, 0.5), 22);
  benefits.levels = {{1, {1, 10, 1}}};
  EXPECT_EQ(inherited_level(benefits, 2), 1);
  benefits.levels = {{12, {-1, 10, 1}}};
  EXPECT_EQ(inherited_level(benefits, 1), std::nullopt);
}

}  // namespace
}  // namespace bale::compression
