#include "compression/level_chooser.hpp"

#include <chrono>

#include "archive/compress.hpp"
#include "base/hash.hpp"
#include "compression/cpu_benchmark.hpp"
#include "support/fake_world.hpp"

namespace bale::compression {
namespace {

constexpr double mib = 1 << 20;

class LevelChooserTest : public ::testing::Test {
 protected:
  Measured measured(int level, double stored = 0.3) const {
    return {text_, level, 10, mib, 0.4 * mib, stored * mib, 0.02};
  }
  testing::FakeWorld outside_;
  Learned learned_{nullptr, outside_.clock, [](const Error& error) { ADD_FAILURE() << error.what(); }};
  LevelChooser chooser_{learned_, {.cpu_factor = 2}, outside_.entropy};
  const CostModel cost_{Prices{}, {Region("eu-west-1")}, 2};
  const ContentClass text_ = classify("a.txt", 0.4);
  const Portion portion_{mib, 0.4};
  const std::string key_ = "b/p/";
};

TEST_F(LevelChooserTest, LearnsPerClassAndKeepsTheOldFormForThePrefix) {
  const ContentClass packed = classify("a.gz", 1);
  chooser_.learn(key_, {measured(12), {packed, 0, 5, mib, mib, mib, 0.0001}}, cost_);
  EXPECT_EQ(learned_.statistics(class_key(key_, text_)).at(12).trials, 1u);
  EXPECT_EQ(learned_.statistics(class_key(key_, text_)).at(12).seconds, 0.01);  // of the reference machine
  EXPECT_EQ(learned_.statistics(class_key(key_, packed)).at(0).trials, 1u);
  const PrefixBenefits benefits = learned_.benefits(key_);
  ASSERT_EQ(benefits.levels.size(), 1u);  // the replaced program knows no level 0
  EXPECT_EQ(benefits.levels.at(12).trials, 1u);
  EXPECT_EQ(benefits.levels.at(12).objects, 10u);
  EXPECT_NEAR(benefits.levels.at(12).sum_benefit, cost_.benefit({mib, 0.3 * mib, 0.02}), 1e-15);
  EXPECT_EQ(benefits.total_processed_files, 15u);
  EXPECT_EQ(benefits.version, 1u);
  EXPECT_EQ(benefits.sum_cpu_factor, to_foreign_factor(2));
}

TEST_F(LevelChooserTest, WhatMakesNoSenseIsNotLearned) {
  Measured backwards = measured(12);
  backwards.core_seconds = -5;  // a clock that jumped
  chooser_.learn(key_, {backwards, measured(12, 0), measured(40)}, cost_);
  EXPECT_EQ(learned_.statistics(class_key(key_, text_)).trials(), 0u);
  EXPECT_EQ(learned_.benefits(key_), PrefixBenefits{});
}

TEST_F(LevelChooserTest, StartsWhereTheReplacedProgramWas) {
  PrefixBenefits old;
  old.levels[17] = {1, 12, 12};
  learned_.add(key_, old);
  EXPECT_EQ(chooser_.choose(key_, text_, portion_, cost_), 17);
  EXPECT_LE(chooser_.choose(key_, classify("a.gz", 1), {mib, 1}, cost_), 1);
  // Then by what it knows itself.
  for (int i = 0; i < 10; ++i) chooser_.learn(key_, {measured(17)}, cost_);
  std::set<int> chosen;
  for (int i = 0; i < 50; ++i) chosen.insert(chooser_.choose(key_, text_, portion_, cost_));
  EXPECT_NE(chosen, std::set<int>{17});
}

TEST_F(LevelChooserTest, EqualChanceGivesEqualChoices) {
  testing::FakeEntropy first(7), second(7);
  LevelChooser one(learned_, {}, first), other(learned_, {}, second);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(one.choose(key_, text_, portion_, cost_), other.choose(key_, text_, portion_, cost_));
}

TEST_F(LevelChooserTest, RespectsWhatMemoryAllows) {
  LevelChooser small(learned_, {.most_level = 3}, outside_.entropy);
  for (int i = 0; i < 50; ++i) EXPECT_LE(small.choose(key_, text_, portion_, cost_), 3);
}

// Choosing and learning take less than 0.5 % of packing: a batch of 64 MiB at level 12 takes a second of a core.
TEST_F(LevelChooserTest, CostsNextToNothing) {
  using Clock = std::chrono::steady_clock;
  double least = 1;
  for (int round = 0; round < 5; ++round) {
    const auto start = Clock::now();
    chooser_.choose(key_, text_, portion_, cost_);
    chooser_.learn(key_, {measured(12)}, cost_);
    least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
  }
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(least, 0.005);
#endif
  EXPECT_LT(least, 0.5);
}

TEST(CpuBenchmarkTest, DataLookLikeDataAndAreAlwaysTheSame) {
  const std::string data = benchmark_data(1 << 20);
  EXPECT_EQ(data.size(), 1U << 20);
  EXPECT_EQ(data, benchmark_data(1 << 20));
  EXPECT_EQ(data.substr(0, 1000), benchmark_data(1000));
  const double ratio = archive::probe_ratio(as_bytes(data));
  EXPECT_GT(ratio, 0.3);
  EXPECT_LT(ratio, 0.7);
  EXPECT_EQ(xxh64(as_bytes(data)), 1287668863567769259u);
}

TEST(CpuBenchmarkTest, MeasuresWithinItsLimit) {
  const CpuBenchmark result = measure_cpu(os::system_clock(), Milliseconds(100));
  EXPECT_GE(result.rounds, 1);
  EXPECT_GT(result.factor, 0.05);
  EXPECT_LT(result.factor, 200);
  EXPECT_LT(result.spent, Milliseconds(10'000));
}

TEST(CpuBenchmarkTest, NoTimeNoMeasurement) {
  const CpuBenchmark result = measure_cpu(os::system_clock(), Milliseconds(0));
  EXPECT_EQ(result.rounds, 0);
  EXPECT_EQ(result.factor, 1);
}

TEST(CpuBenchmarkTest, TheLimitIsKeptByTheClock) {
  // Every look at the clock takes half a second: after three rounds the limit is over.
  struct Slow final : os::Clock {
    TimePoint now() override { return {}; }
    std::chrono::steady_clock::time_point steady() override { return time += std::chrono::milliseconds(500); }
    bool sleep_for(Milliseconds, std::stop_token) override { return true; }
    std::chrono::steady_clock::time_point time{};
  } clock;
  const CpuBenchmark result = measure_cpu(clock);
  EXPECT_EQ(result.rounds, 3);
  EXPECT_GT(result.factor, 0.05);  // measured in processor time, not by that clock
}

}  // namespace
}  // namespace bale::compression
