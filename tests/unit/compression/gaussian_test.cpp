#include "compression/gaussian.hpp"

#include "support/fake_world.hpp"

namespace bale::compression {
namespace {

RowPrior prior() {
  RowPrior prior{.shared_deviation = 0.5, .own_deviation = 0.1, .reach = 4};
  for (std::size_t i = 0; i < row_size; ++i) prior.expected[i] = -0.1 * static_cast<double>(i);
  return prior;
}

TEST(GaussianTest, WithoutMeasurementsThePriorStands) {
  const RowBelief belief(prior(), {});
  EXPECT_EQ(belief.expected(), prior().expected);
}

// One measurement of one number: the textbook's weights.
TEST(GaussianTest, OneMeasurementMovesAllByWhatTheyShare) {
  RowMeasurements measured{.noise_variance = 0.04};
  measured.counts[10] = 1;
  measured.means[10] = prior().expected[10] + 1;
  const RowBelief belief(prior(), measured);
  const double variance = 0.25 + 0.01;
  for (const std::size_t i : {0UL, 9UL, 10UL, 21UL}) {
    const double shared = 0.25 + 0.01 * std::exp(-std::abs(static_cast<double>(i) - 10) / 4);
    EXPECT_NEAR(belief.expected()[i], prior().expected[i] + shared / (variance + 0.04), 1e-9) << i;
  }
}

TEST(GaussianTest, ManyMeasurementsAreBelieved) {
  RowMeasurements measured{.noise_variance = 0.01};
  for (std::size_t i = 0; i < row_size; ++i) {
    measured.counts[i] = 1e6;
    measured.means[i] = i % 2 == 0 ? 0.3 : -0.2;
  }
  const RowBelief belief(prior(), measured);
  for (std::size_t i = 0; i < row_size; ++i) EXPECT_NEAR(belief.expected()[i], measured.means[i], 1e-3);
}

TEST(GaussianTest, DrawsHaveTheMomentsOfTheBelief) {
  testing::FakeEntropy entropy;
  NormalNumbers normal(entropy);
  RowMeasurements measured{.noise_variance = 0.04};
  measured.counts[5] = 100;
  measured.means[5] = 0;
  const RowBelief belief(prior(), measured);
  double sum = 0, square = 0, near = 0;
  constexpr int draws = 20'000;
  for (int i = 0; i < draws; ++i) {
    const Row row = belief.draw([&] { return normal(); });
    const double error = row[21] - belief.expected()[21];
    sum += error;
    square += error * error;
    near += (row[5] - belief.expected()[5]) * (row[5] - belief.expected()[5]);
  }
  EXPECT_NEAR(sum / draws, 0, 0.005);
  // Far from what was measured, nearly all of its own error is left: 2 * 0.01, and little of the shared one.
  EXPECT_NEAR(square / draws, 0.02, 0.002);
  EXPECT_NEAR(near / draws, 0.04 / 100, 0.0001);
}

TEST(GaussianTest, NormalNumbersAreNormal) {
  testing::FakeEntropy entropy;
  NormalNumbers normal(entropy);
  double sum = 0, square = 0;
  int beyond = 0;
  constexpr int count = 100'000;
  for (int i = 0; i < count; ++i) {
    const double x = normal();
    sum += x;
    square += x * x;
    beyond += std::abs(x) > 1.959964 ? 1 : 0;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(square / count, 1, 0.02);
  EXPECT_NEAR(static_cast<double>(beyond) / count, 0.05, 0.003);
}

}  // namespace
}  // namespace bale::compression
