// bench/level_simulation in small: the money that levels save, against an oracle and the replaced program.
#include "levels/simulation.hpp"

#include <gtest/gtest.h>

namespace bale::simulation {
namespace {

class SimulationTest : public ::testing::TestWithParam<Scenario> {};

TEST_P(SimulationTest, WithinThreePercentOfTheOracleAndNotBehindTheReplacedProgram) {
  const Result result = simulate(GetParam(), read_curves(BALE_CURVES), 1);
  EXPECT_LE(result.all.loss(result.all.bale), 0.03) << result.all.bale << " of " << result.all.oracle << " dollars";
  EXPECT_LE(result.last.loss(result.last.bale), 0.03);
  // A thousandth is a tie: there are data that all levels do the same with.
  EXPECT_LE(result.all.loss(result.all.bale), result.all.loss(result.all.reference) + 0.001);
}

INSTANTIATE_TEST_SUITE_P(Levels, SimulationTest, ::testing::ValuesIn(scenarios()),
                         [](const ::testing::TestParamInfo<Scenario>& scenario) {
                           std::string name;
                           for (const char c : scenario.param.name)
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           return name;
                         });

TEST(SimulationTest, EverythingFollowsFromTheSeed) {
  const Curves curves = read_curves(BALE_CURVES);
  Scenario scenario = scenarios().front();
  scenario.batches = 100;
  EXPECT_EQ(simulate(scenario, curves, 3).all.bale, simulate(scenario, curves, 3).all.bale);
  EXPECT_NE(simulate(scenario, curves, 3).all.bale, simulate(scenario, curves, 4).all.bale);
}

}  // namespace
}  // namespace bale::simulation
