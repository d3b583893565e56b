#include "cli/level_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::cli {
namespace {

using ::testing::ElementsAre;

TEST(LevelsOf, ReadsLevelsAndRanges) {
  EXPECT_THAT(levels_of("3"), ElementsAre(3));
  EXPECT_THAT(levels_of("9-12,0,10"), ElementsAre(0, 9, 10, 11, 12)) << "each once, ascending";
  EXPECT_THAT(levels_of("22-22"), ElementsAre(22));
}

TEST(LevelsOf, RefusesWhatIsNone) {
  for (const char* text : {"", ",", "1,", "x", "1-", "-3", "5-2", "0-23", "1-2-3", "1 2", "99999999999999999999"}) {
    try {
      levels_of(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid) << text;
      EXPECT_EQ(error.where(), "--levels") << text;
    }
  }
}

}  // namespace
}  // namespace bale::cli
