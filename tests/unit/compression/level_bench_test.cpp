#include "compression/level_bench.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "compression/cpu_benchmark.hpp"
#include "support/fake_world.hpp"

namespace bale::compression {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class LevelBenchTest : public ::testing::Test {
 protected:
  static std::string text(std::size_t bytes) {
    std::string text;
    for (int i = 0; text.size() < bytes; ++i) text += "line " + std::to_string(i * 7919) + " of a log\n";
    text.resize(bytes);
    return text;
  }
  std::string noise(std::size_t bytes) {
    std::string noise(bytes, '\0');
    outside.entropy.fill(std::as_writable_bytes(std::span(noise)));
    return noise;
  }
  BenchResult run(const std::vector<BenchFrame>& frames, std::vector<int> levels, Milliseconds time) {
    return try_levels(frames, {std::move(levels), time, 1 << 20}, place, outside.clock, stop.get_token(),
                      [this](std::size_t done, std::size_t all) {
                        told = {done, all};
                        outside.clock.advance(Milliseconds(10));
                      });
  }

  testing::FakeWorld outside;
  Prices prices{.transfer_per_gib = 0.09};
  Workplace place{CostModel(prices, {Region("us-east-1")}, 2)};
  std::stop_source stop;
  std::pair<std::size_t, std::size_t> told{0, 0};
};

TEST_F(LevelBenchTest, LikeGoesWithLikeUntilAFrameIsFull) {
  const auto frames = make_bench_frames({{"a.log", text(600)},
                                         {"a.jpg", noise(100'000)},
                                         {"b.log", text(300)},
                                         {"empty.log", ""},
                                         {"c.log", text(200)},
                                         {"d.log", text(5000)}},
                                        1000);
  ASSERT_THAT(frames, SizeIs(4));
  EXPECT_EQ(frames[0].content, text(600) + text(300));
  EXPECT_EQ(frames[0].content_class.group, "log");
  EXPECT_EQ(frames[1].content_class.group, "packed");
  EXPECT_EQ(frames[1].content_class.band, content_bands - 1);
  EXPECT_EQ(frames[2].content, text(200));
  EXPECT_EQ(frames[3].content, text(5000)) << "a larger piece stays whole";
  EXPECT_THAT(make_bench_frames({}, 1000), IsEmpty());
}

TEST_F(LevelBenchTest, EveryLevelIsTriedOnTheSameFrames) {
  const auto frames =
      make_bench_frames({{"a.log", text(400'000)}, {"b.log", text(400'000)}, {"c.jpg", noise(200'000)}}, 400'000);
  const BenchResult result = run(frames, {1, 6, 0}, Milliseconds(10'000));
  EXPECT_TRUE(result.is_complete);
  EXPECT_EQ(told, std::pair(std::size_t{9}, std::size_t{9}));
  ASSERT_THAT(result.classes, SizeIs(2));
  const ClassFigures& log = result.classes[0];
  EXPECT_EQ(log.frames, 2u);
  EXPECT_EQ(log.bytes, 800'000);
  ASSERT_THAT(log.levels, SizeIs(3));
  EXPECT_EQ(log.levels[0].level, 1);
  EXPECT_EQ(log.levels[2].level, 0);
  for (const LevelFigures& level : log.levels) EXPECT_EQ(level.sum.bytes, 800'000);
  for (const std::size_t i : {0U, 1U}) EXPECT_LT(log.levels[i].sum.stored, 400'000);
  EXPECT_GE(log.levels[2].sum.stored, 800'000) << "stored as it is";
  EXPECT_GT(log.best_level.value(), 0);
  EXPECT_EQ(result.classes[1].best_level, 0) << "noise is stored";
}

TEST_F(LevelBenchTest, PricesDecideTheLevel) {
  const auto frames = make_bench_frames({{"a.log", text(400'000)}}, 400'000);
  place.cost = CostModel({.transfer_per_gib = 0.000001, .compute_per_minute = 10}, {Region("us-east-1")}, 1);
  EXPECT_EQ(run(frames, {1, 6}, Milliseconds(10'000)).classes[0].best_level, 0);
}

TEST_F(LevelBenchTest, ARoundThatTimeCutsShortDoesNotCount) {
  const auto frames =
      make_bench_frames({{"a.log", text(100'000)}, {"b.log", text(100'000)}, {"c.log", text(100'000)}}, 100'000);
  // Ten milliseconds a frame and level: the second level of the second frame is the last.
  const BenchResult result = run(frames, {1, 2, 3}, Milliseconds(50));
  EXPECT_FALSE(result.is_complete);
  EXPECT_EQ(told.first, 5u);
  ASSERT_THAT(result.classes.at(0).levels, SizeIs(3));
  for (const LevelFigures& level : result.classes[0].levels) EXPECT_EQ(level.sum.bytes, 100'000);
}

TEST_F(LevelBenchTest, ALittleTimeGivesALittle) {
  const auto frames = make_bench_frames({{"a.log", text(100'000)}, {"b.csv", text(50'000)}}, 100'000);
  const BenchResult result = run(frames, {1, 2, 3}, Milliseconds(0));
  EXPECT_FALSE(result.is_complete);
  EXPECT_EQ(told.first, 1u) << "one, however little time";
  ASSERT_THAT(result.classes, SizeIs(2));
  EXPECT_EQ(result.classes[0].levels.size() + result.classes[1].levels.size(), 1u);
  EXPECT_TRUE(result.classes[0].best_level);
  EXPECT_FALSE(result.classes[1].best_level) << "nothing is known of it";
}

TEST_F(LevelBenchTest, AStopEndsIt) {
  stop.request_stop();
  try {
    run(make_bench_frames({{"a.log", text(1000)}}, 1000), {1}, Milliseconds(1000));
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST_F(LevelBenchTest, BuiltInDataAreOfSeveralClasses) {
  std::vector<BenchPiece> pieces;
  for (BenchmarkFile& file : benchmark_files(100'000)) {
    EXPECT_THAT(file.content, SizeIs(100'000)) << file.name;
    pieces.push_back({std::string(file.name), std::move(file.content)});
  }
  EXPECT_THAT(run(make_bench_frames(std::move(pieces), 100'000), {3}, Milliseconds(10'000)).classes, SizeIs(5));
  EXPECT_EQ(benchmark_files(1000).front().content, benchmark_files(2000).front().content.substr(0, 1000));
}

}  // namespace
}  // namespace bale::compression
