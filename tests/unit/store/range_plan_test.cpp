// Key ranges that are listed at the same time: in virtual time, each page taking one tick.
#include "store/range_plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::testing {
namespace {

using store::KeyScale;
using store::ListedObject;
using store::ListingSplit;
using store::RangePlan;

std::vector<ListedObject> listed(const std::vector<std::string>& keys) {
  std::vector<ListedObject> objects;
  for (const std::string& key : keys) objects.push_back({ObjectKey(key), 1, ETag("e"), {}, "STANDARD"});
  return objects;
}

std::string hash_of(std::size_t number) { return to_hex(Sha256::of(as_bytes(std::to_string(number)))); }

std::vector<std::string> make_keys(std::size_t count, const std::function<std::string(std::size_t)>& name) {
  std::set<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.insert(name(i));
  return {keys.begin(), keys.end()};
}

/// What a simulated listing came to.
struct Outcome {
  std::size_t ticks = 0;  ///< of the time of one page
  std::size_t requests = 0;
  std::size_t pages = 0;     ///< that there are
  ByteCount most_bytes = 0;  ///< that waited at the same time, about
  double speedup() const { return static_cast<double>(pages) / static_cast<double>(ticks); }
};

/// Lists `keys` with pages of `page_keys`, each of which takes one tick. Keys are taken as soon as they come. Every key
/// has to come once, in order.
Outcome simulate(const std::vector<std::string>& keys, ListingSplit split, std::size_t page_keys = 100,
                 const std::string& start_after = {}, const std::optional<std::string>& until = {}) {
  RangePlan plan(split, static_cast<std::uint32_t>(page_keys), "", start_after, until);
  Outcome outcome;
  std::vector<std::string> taken;
  while (!plan.is_at_end()) {
    std::vector<RangePlan::Range*> asked;
    while (RangePlan::Range* const range = plan.next_request()) asked.push_back(range);
    if (asked.empty()) {
      ADD_FAILURE() << "nothing is asked for, and nothing is at its end";
      break;
    }
    EXPECT_LE(asked.size(), split.listers);
    ++outcome.ticks;
    for (RangePlan::Range* const range : asked) {
      ++outcome.requests;
      const auto first = std::upper_bound(keys.begin(), keys.end(), range->last);
      const auto last = first + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(page_keys), keys.end() - first);
      auto objects = listed({first, last});
      auto notes = RangePlan::note(*range, objects);
      plan.answered(*range, std::move(objects), std::move(notes), last == keys.end());
    }
    while (auto objects = plan.take()) {
      EXPECT_FALSE(objects->empty());
      for (const ListedObject& object : *objects) taken.push_back(object.key.str());
    }
  }
  const auto first = std::upper_bound(keys.begin(), keys.end(), start_after);
  const auto last = until ? std::upper_bound(first, keys.end(), *until) : keys.end();
  const std::vector<std::string> expected(first, last);
  EXPECT_EQ(taken.size(), expected.size());
  EXPECT_TRUE(taken == expected) << "not all keys came, or not in order";
  outcome.pages = (expected.size() + page_keys - 1) / page_keys;
  return outcome;
}

void expect_fast(const Outcome& outcome, double speedup, double most_requests) {
  EXPECT_GE(outcome.speedup(), speedup);
  EXPECT_LE(static_cast<double>(outcome.requests), most_requests * static_cast<double>(outcome.pages));
  fmt::print("speedup {:.1f}, requests {} for {} pages\n", outcome.speedup(), outcome.requests, outcome.pages);
}

constexpr std::size_t many = 200'000;

TEST(RangePlan, ListsNumbersInParallel) {
  expect_fast(simulate(make_keys(many, [](std::size_t i) { return fmt::format("k-{:010}", i); }), {}), 10, 1.3);
}
TEST(RangePlan, ListsHashesInParallel) {
  expect_fast(simulate(make_keys(many, [](std::size_t i) { return hash_of(i); }), {}), 10, 1.3);
}
TEST(RangePlan, ListsUnpaddedNumbersInParallel) {
  expect_fast(simulate(make_keys(many, [](std::size_t i) { return fmt::format("part-{}.parquet", i); }), {}), 10, 1.4);
}
TEST(RangePlan, ListsDatesInParallel) {
  expect_fast(simulate(make_keys(many,
                                 [](std::size_t i) {
                                   return fmt::format("logs/{}/{:02}/{:02}/host-{:02}/{:05}.gz", 2020 + i % 5,
                                                      1 + i / 5 % 12, 1 + i / 60 % 28, i / 1680 % 10, i / 16800);
                                 }),
                       {}),
              7, 1.5);
}
TEST(RangePlan, ListsBase62InParallel) {
  constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  expect_fast(simulate(make_keys(many,
                                 [&](std::size_t i) {
                                   const auto hash = Sha256::of(as_bytes(std::to_string(i)));
                                   std::string key;
                                   for (int k = 0; k < 20; ++k) key += digits[std::to_integer<unsigned>(hash[k]) % 62];
                                   return key;
                                 }),
                       {}),
              10, 1.3);
}
TEST(RangePlan, ListsUnlikeDirectoriesInParallel) {
  expect_fast(simulate(make_keys(many,
                                 [](std::size_t i) {
                                   const std::string user = hash_of(i % 97).substr(0, 5 + i % 97 % 11);
                                   return fmt::format("home/{}/Photos {}/IMG_{:04}.jpg", user, i / 97 % 7, i / 679);
                                 }),
                       {}),
              5, 2.0);
}
TEST(RangePlan, ListsChineseNamesInParallel) {
  expect_fast(
      simulate(make_keys(many, [](std::size_t i) { return fmt::format("\u6587\u4EF6/\u7B2C{:08}\u53F7", i); }), {}), 10,
      1.3);
}

TEST(RangePlan, ListsPartsOfABucket) {
  const auto keys = make_keys(20'000, [](std::size_t i) { return fmt::format("k-{:010}", i); });
  simulate(keys, {}, 100, "k-0000005000");
  simulate(keys, {}, 100, "", "k-0000005000");
  simulate(keys, {}, 100, "k-0000005000", "k-0000005001");
  simulate(keys, {}, 100, "k-0000005000", "k-0000015000x");
  simulate(keys, {}, 100, "z");
  simulate({}, {});
  simulate({"one"}, {});
}

TEST(RangePlan, AsksOnceForAShortListing) {
  const Outcome outcome = simulate(make_keys(100, [](std::size_t i) { return std::to_string(i); }), {});
  EXPECT_EQ(outcome.requests, 1u);
}

TEST(RangePlan, OneListerAsksForNoMoreThanThereIs) {
  const Outcome outcome =
      simulate(make_keys(10'000, [](std::size_t i) { return hash_of(i); }), {.listers = 1, .most_bytes = 1 << 20});
  EXPECT_EQ(outcome.requests, 100u);
}

// Keys that nobody can foresee: each page has another form.
TEST(RangePlan, ComesToAnEndWithAnyKeys) {
  std::uint32_t state = 1;
  const auto chance = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  for (int round = 0; round < 30; ++round) {
    const auto keys = make_keys(5000, [&](std::size_t) {
      std::string key;
      const std::uint32_t length = 1 + chance() % (2 + static_cast<std::uint32_t>(round));
      static constexpr std::string_view bytes[] = {"a",    "b", "/",      "0",      "9",
                                                   "\x01", "~", "\u00E4", "\u6587", "\U0001F389"};
      for (std::uint32_t i = 0; i < length; ++i) key += bytes[chance() % std::size(bytes)];
      return key;
    });
    simulate(keys, {.listers = 1 + chance() % 20, .most_bytes = 1000 + chance() % 100'000}, 1 + chance() % 50);
  }
  // Bytes that are no UTF-8, which some servers keep.
  simulate(make_keys(5000, [&](std::size_t i) { return "\xFF" + std::to_string(i) + "\x80"; }), {});
}

// Whoever takes nothing keeps the listers from going on.
TEST(RangePlan, BoundsWhatWaits) {
  const auto keys = make_keys(100'000, [](std::size_t i) { return fmt::format("k-{:010}", i); });
  constexpr ByteCount most = 500'000;
  const ListingSplit split{.listers = 8, .most_bytes = most};
  RangePlan plan(split, 100, "", "", std::nullopt);
  ByteCount waiting = 0, page = 0;
  std::vector<RangePlan::Range*> asked;
  for (;;) {
    while (RangePlan::Range* const range = plan.next_request()) asked.push_back(range);
    if (asked.empty()) break;
    RangePlan::Range* const range = asked.front();
    asked.erase(asked.begin());
    const auto first = std::upper_bound(keys.begin(), keys.end(), range->last);
    auto objects = listed({first, first + std::min<std::ptrdiff_t>(100, keys.end() - first)});
    page = 0;
    for (const ListedObject& object : objects) page += sizeof object + object.key.str().size() + 1 + 32;
    waiting += page;
    ASSERT_LE(waiting, most + 9 * page);
    auto notes = RangePlan::note(*range, objects);
    plan.answered(*range, std::move(objects), std::move(notes), false);
  }
  EXPECT_GT(waiting, most / 2);
}

TEST(KeyScales, TellWhereKeysMayBe) {
  const auto scale = KeyScale::of(listed(make_keys(100, [](std::size_t i) { return fmt::format("a/{:06}.txt", i); })));
  ASSERT_TRUE(scale);
  EXPECT_EQ(scale->ahead("a/000099.txt", 100), "a/000199.txt");
  EXPECT_EQ(scale->ahead("a/000099.txt", 25'000), "a/025099.txt");
  EXPECT_NEAR(scale->count_between("a/000099.txt", "a/000300.txt").value(), 201, 1);
  EXPECT_EQ(scale->count_between("a/000099.txt", "a/000010.txt"), 0.0);
  EXPECT_EQ(scale->ahead("b", 100), std::nullopt) << "not on the scale";
  EXPECT_EQ(scale->ahead("a/000099.txt", 1e12), std::nullopt) << "beyond its end";
  EXPECT_FALSE(KeyScale::of(listed({"a"})));
  EXPECT_FALSE(
      KeyScale::of(listed({"\xFF"
                           "1",
                           "\xFF"
                           "2"})));
}

TEST(KeyScales, GuessesAreUtf8) {
  const auto scale = KeyScale::of(listed({"\u6587\u0031", "\u6587\u4E00", "\u6587\u4E8C", "\u6587\u4EF6"}));
  ASSERT_TRUE(scale);
  const auto guess = scale->ahead("\u6587\u0031", 1);
  ASSERT_TRUE(guess);
  EXPECT_TRUE(is_utf8(*guess));
  EXPECT_GT(*guess, "\u6587\u0031");
}

TEST(KeyScales, KnowTheEndOfADirectory) {
  EXPECT_EQ(store::after_directory("a/b/1", "a/b/2"), "a/b0");
  EXPECT_EQ(store::after_directory("a/b/1", "a/c/2"), "a0");
  EXPECT_EQ(store::after_directory("a", "b"), std::nullopt);
  EXPECT_EQ(store::after_directory("/a", "/b"), std::nullopt);
}

}  // namespace
}  // namespace bale::testing
