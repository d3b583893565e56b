#include "compression/cost_model.hpp"

#include "support/fake_world.hpp"

namespace bale::compression {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PricesRead read(std::map<std::string, std::string> variables) {
  testing::FakeEnvironment environment;
  environment.variables = std::move(variables);
  return read_prices(environment);
}

constexpr double gib = 1ULL << 30;

TEST(PricesTest, WithoutVariablesTheDefaultsStand) {
  const PricesRead found = read({});
  EXPECT_EQ(found.prices, Prices{});
  EXPECT_EQ(found.prices.transfer_per_gib, 0.02);
  EXPECT_EQ(found.prices.compute_per_minute, 0.000395);
  EXPECT_THAT(found.warnings, IsEmpty());
  EXPECT_EQ(read({{"DATA_TRANSFER_COST", ""}, {"FARGATE_COST_PER_MINUTE", " "}}).prices, Prices{});
}

TEST(PricesTest, VariablesSayThemAndSingleRegions) {
  const PricesRead found =
      read({{"DATA_TRANSFER_COST", "0.09, ap-southeast-2 = 0.114,eu-west-1=0"}, {"FARGATE_COST_PER_MINUTE", "1e-3"}});
  EXPECT_THAT(found.warnings, IsEmpty());
  EXPECT_EQ(found.prices.to(Region("us-east-1")), 0.09);
  EXPECT_EQ(found.prices.to(Region("ap-southeast-2")), 0.114);
  EXPECT_EQ(found.prices.to(Region("eu-west-1")), 0);
  EXPECT_EQ(found.prices.compute_per_minute, 0.001);
}

TEST(PricesTest, WhatIsNoPriceLeavesTheDefaultAndIsSaid) {
  for (const char* wrong : {"free", "-0.02", "nan", "inf", "0.02$", "0,02x", "1001", "1e400"}) {
    const PricesRead found = read({{"FARGATE_COST_PER_MINUTE", wrong}});
    EXPECT_EQ(found.prices, Prices{}) << wrong;
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("FARGATE_COST_PER_MINUTE: '"))) << wrong;
  }
  const PricesRead found = read({{"DATA_TRANSFER_COST", "0.05,eu-west-1=cheap"}});
  EXPECT_EQ(found.prices.transfer_per_gib, 0.05);
  EXPECT_THAT(found.prices.transfer_to, IsEmpty());
  EXPECT_THAT(
      found.warnings,
      ElementsAre("DATA_TRANSFER_COST: 'eu-west-1=cheap' is not a price in dollars from 0 to 1000; 0.05 is used"));
}

// The formula of the replaced program: saved GiB x price x regions - seconds x 1.025 x price of a minute / 60.
TEST(CostModelTest, SavedTransferMinusCompute) {
  const std::vector<Region> two{Region("eu-west-1"), Region("us-east-1")};
  const CostModel cost(Prices{}, two, 1);
  EXPECT_NEAR(cost.benefit({2 * gib, 1.5 * gib, 60}), 0.5 * 0.02 * 2 - 60 * 1.025 * 0.000395 / 60, 1e-15);
  EXPECT_NEAR(cost.benefit({gib, gib, 600}), -0.00404875, 1e-15);
  EXPECT_NEAR(cost.benefit({gib, 1.25 * gib, 0}), -0.01, 1e-15);  // what grows costs
  EXPECT_EQ(cost.benefit({}), 0);
}

TEST(CostModelTest, CoresShareTheTaskAndRegionsHaveTheirPrices) {
  Prices prices;
  prices.transfer_to[Region("ap-southeast-2")] = 0.098;
  const CostModel cost(prices, {Region("eu-west-1"), Region("ap-southeast-2")}, 4);
  EXPECT_NEAR(cost.per_byte() * gib, 0.118, 1e-15);
  EXPECT_NEAR(cost.per_core_second(), 1.025 * 0.000395 / 60 / 4, 1e-18);
  EXPECT_EQ(CostModel(prices, {}, 0).per_byte(), 0);
  EXPECT_GT(CostModel(prices, {}, 0).per_core_second(), 0);
}

}  // namespace
}  // namespace bale::compression
