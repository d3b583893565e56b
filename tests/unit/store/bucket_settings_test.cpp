#include "store/bucket_settings.hpp"

#include <gtest/gtest.h>

namespace bale::store {
namespace {

TEST(BucketSettings, ARuleIsAddedOrTakesThePlaceOfItsNamesake) {
  const LifecycleRule first{.id = "a", .expire_days = 1}, second{.id = "b", .expire_days = 2};
  const LifecycleRule changed{.id = "a", .expire_days = 3}, nameless{.expire_days = 4};
  Lifecycle lifecycle = with_rule(with_rule({}, first), second);
  EXPECT_EQ(lifecycle.rules, (std::vector{first, second}));
  lifecycle = with_rule(lifecycle, changed);
  EXPECT_EQ(lifecycle.rules, (std::vector{changed, second}));
  lifecycle = with_rule(with_rule(lifecycle, nameless), nameless);
  EXPECT_EQ(lifecycle.rules, (std::vector{changed, second, nameless, nameless}));
  lifecycle.minimum_transition_size = "x";
  EXPECT_EQ(with_rule(lifecycle, first).minimum_transition_size, "x");
}

TEST(BucketSettings, TellWhenEveryUploadIsAborted) {
  const auto days = [](std::vector<LifecycleRule> rules) { return days_of_uploads({.rules = std::move(rules)}); };
  EXPECT_EQ(days({}), std::nullopt);
  EXPECT_EQ(days({{.id = "a", .abort_uploads_days = 7}}), 7U);
  EXPECT_EQ(days({{.id = "a", .abort_uploads_days = 7}, {.id = "b", .abort_uploads_days = 3}}), 3U);
  EXPECT_EQ(days({{.id = "a", .is_enabled = false, .abort_uploads_days = 7}}), std::nullopt);
  EXPECT_EQ(days({{.id = "a", .prefix = "p", .abort_uploads_days = 7}}), std::nullopt) << "only some keys";
  EXPECT_EQ(days({{.id = "a", .abort_uploads_days = 7, .has_other_filter = true}}), std::nullopt);
  EXPECT_EQ(days({{.id = "a", .expire_days = 7}}), std::nullopt);
}

}  // namespace
}  // namespace bale::store
