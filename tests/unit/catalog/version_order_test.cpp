#include "catalog/version_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace bale::catalog {
namespace {

VersionRank version(const char* sequencer, int ms, int backup_ms = 0) {
  return {{sequencer, from_epoch_ms(ms)}, from_epoch_ms(backup_ms)};
}

bool is_equal(const VersionRank& a, const VersionRank& b) {
  return a.order == b.order && a.backup_time == b.backup_time;
}

/// Few values, so that all of them meet: sequencers that contradict times, ties, padded sequencers.
std::vector<VersionRank> random_versions(std::mt19937& random, std::size_t count) {
  const char* const sequencers[] = {"", "", "01", "02", "0200", "03", "0301"};
  std::vector<VersionRank> versions;
  for (std::size_t i = 0; i < count; ++i) {
    versions.push_back(version(sequencers[random() % std::size(sequencers)], static_cast<int>(random() % 4),
                               static_cast<int>(random() % 2)));
  }
  return versions;
}

std::vector<VersionRank> sorted(const std::vector<VersionRank>& versions) {
  std::vector<VersionRank> sorted;
  for (const std::size_t i : newest_first(versions)) sorted.push_back(versions[i]);
  return sorted;
}

/// Records may be equal but for the padding of their sequencers.
bool is_same_order(const std::vector<VersionRank>& a, const std::vector<VersionRank>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const VersionRank& left, const VersionRank& right) {
    return left.order.sequencer.empty() == right.order.sequencer.empty() &&
           compare_sequencers(left.order.sequencer, right.order.sequencer) == 0 &&
           left.order.time == right.order.time && left.backup_time == right.backup_time;
  });
}

TEST(VersionOrder, ThreeThatContradictEachOtherHaveOneOrder) {
  const VersionRank first = version("01", 10), second = version("02", 5), backfill = version("", 7);
  ASSERT_TRUE(second.order.is_after(first.order));
  ASSERT_TRUE(backfill.order.is_after(second.order));
  ASSERT_TRUE(first.order.is_after(backfill.order));
  const std::vector<VersionRank> expected{backfill, second, first};
  std::vector<std::size_t> order{0, 1, 2};
  do {
    EXPECT_TRUE(is_same_order(sorted({expected[order[0]], expected[order[1]], expected[order[2]]}), expected));
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(VersionOrder, DoesNotDependOnTheOrderOfReading) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<VersionRank> versions = random_versions(random, 1 + random() % 6);
    const std::vector<VersionRank> expected = sorted(versions);
    std::shuffle(versions.begin(), versions.end(), random);
    ASSERT_TRUE(is_same_order(sorted(versions), expected)) << round;
  }
}

TEST(VersionOrder, OfTwoIsThatOfTheSource) {
  std::mt19937 random(2);
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<VersionRank> two = random_versions(random, 2);
    const std::vector<std::size_t> order = newest_first(two);
    EXPECT_FALSE(two[order[1]].order.is_after(two[order[0]].order)) << round;
  }
}

TEST(VersionOrder, FollowsTheSequencersOfAllThatHaveOne) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string before = "~";
    for (const VersionRank& each : sorted(random_versions(random, 5))) {
      if (each.order.sequencer.empty()) continue;
      EXPECT_LE(compare_sequencers(each.order.sequencer, before), 0) << round;
      before = each.order.sequencer;
    }
  }
}

/// Where sequencers contradict no time, the pairs decide.
TEST(VersionOrder, OfThreeAgreesWithThePairsWhereTheyAgree) {
  std::mt19937 random(4);
  int transitive = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<VersionRank> three = random_versions(random, 3);
    std::vector<std::size_t> order{0, 1, 2};
    const auto is_chain = [&] {
      return three[order[0]].order.is_after(three[order[1]].order) &&
             three[order[1]].order.is_after(three[order[2]].order) &&
             three[order[0]].order.is_after(three[order[2]].order);
    };
    bool found = false;
    do {
      found = is_chain();
    } while (!found && std::next_permutation(order.begin(), order.end()));
    const auto is_contradiction = [&](std::size_t a, std::size_t b) {
      const SourceOrder &left = three[a].order, &right = three[b].order;
      return !left.sequencer.empty() && !right.sequencer.empty() &&
             (compare_sequencers(left.sequencer, right.sequencer) > 0) != (left.time > right.time);
    };
    if (!found || is_contradiction(0, 1) || is_contradiction(0, 2) || is_contradiction(1, 2)) continue;
    ++transitive;
    EXPECT_EQ(newest_first(three), order) << round;
  }
  EXPECT_GT(transitive, 1000);
}

TEST(VersionOrder, ContendersSufficeForTheNewest) {
  std::mt19937 random(5);
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<VersionRank> all = random_versions(random, 1 + random() % 7);
    std::vector<VersionRank> kept;
    for (const VersionRank& each : all) {
      kept.push_back(each);
      std::vector<VersionRank> next;
      for (const std::size_t i : contenders(kept)) next.push_back(kept[i]);
      kept = next;
      ASSERT_LE(kept.size(), 2U);
    }
    ASSERT_TRUE(is_equal(kept.front(), sorted(all).front()) || is_same_order({kept.front()}, {sorted(all).front()}))
        << round;
  }
}

}  // namespace
}  // namespace bale::catalog
