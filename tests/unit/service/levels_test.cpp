#include "service/levels.hpp"

#include <gtest/gtest.h>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "compression/statistics_item.hpp"
#include "support/fake_world.hpp"

namespace bale::service {
namespace {

class BatchLevelsTest : public ::testing::Test {
 protected:
  testing::FakeWorld outside;
  os::World world = outside.world();
  compression::Learned learned{nullptr, world.clock, [](const Error&) {}};
  compression::LevelChooser chooser{learned, {}, world.entropy};
  const std::string key = compression::settings_key(BucketName("cats"), "");
  BatchLevels levels{chooser, key, compression::CostModel({}, {Region("us-east-1")}, 2)};
};

TEST_F(BatchLevelsTest, AFrameIsWhatMostOfItIs) {
  const archive::PlannedMember log{"a.log", 40'000}, picture{"b.jpg", 300};
  std::string text;
  while (text.size() < 40'300) text += "the same line again\n";
  const archive::FrameContent frame{{&picture, &log}, as_bytes(text)};
  const int level = levels.choose(frame);
  EXPECT_GE(level, archive::min_level);
  EXPECT_LE(level, archive::max_level);
  levels.compressed(frame, level, 1000, 0.001);
  const std::string log_key =
      compression::class_key(key, compression::classify("x.log", archive::probe_ratio(frame.bytes)));
  EXPECT_EQ(learned.statistics(log_key).trials(), 0u) << "only when the archive is durable";
  levels.learn();
  EXPECT_EQ(learned.statistics(log_key).trials(), 1u);
  EXPECT_EQ(learned.statistics(log_key).at(level).objects, 2u);
  levels.learn();
  EXPECT_EQ(learned.statistics(log_key).trials(), 1u) << "once";
}

}  // namespace
}  // namespace bale::service
