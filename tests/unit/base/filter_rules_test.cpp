#include "base/filter_rules.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bale {
namespace {

TEST(Glob, MatchesAsTheShellDoesAcrossSlashes) {
  const char* matching[][2] = {{"*", ""},          {"*", "a/b"},         {"*.txt", "a/b.txt"}, {"a?c", "abc"},
                               {"?", "é"},         {"[abc]x", "bx"},     {"[a-c]x", "bx"},     {"[!a-c]x", "dx"},
                               {"[]]", "]"},       {"[", "["},           {"a[", "a["},         {"[ä-ü]", "ö"},
                               {"a*b*c", "aXbYc"}, {"*a", "aaaa"},       {"[-a]", "-"},        {"[a-]", "-"},
                               {"[!]]", "a"},      {"dir/*", "dir/a/b"}, {"\xff*", "\xffx"},   {"", ""}};
  for (const auto& [pattern, text] : matching) EXPECT_TRUE(glob_match(pattern, text)) << pattern << " on " << text;
  const char* differing[][2] = {{"", "a"},
                                {"a", ""},
                                {"?", ""},
                                {"a?c", "ac"},
                                {"[abc]x", "dx"},
                                {"[!a-c]x", "b"},
                                {"*.txt", "a.txt.gz"},
                                {"[!]]", "]"},
                                {"A", "a"},
                                {"[]", "]"},
                                {"dir/*", "dir"}};
  for (const auto& [pattern, text] : differing) EXPECT_FALSE(glob_match(pattern, text)) << pattern << " on " << text;
}

TEST(Glob, TakesNoExponentialTime) { EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*a*a*b", std::string(3000, 'a'))); }

TEST(Filters, TheLastThatMatchesDecides) {
  EXPECT_TRUE(is_wanted({}, "x"));
  EXPECT_FALSE(is_wanted({{false, "*"}}, "x"));
  EXPECT_TRUE(is_wanted({{false, "*"}, {true, "*.txt"}}, "a.txt"));
  EXPECT_FALSE(is_wanted({{true, "*.txt"}, {false, "*"}}, "a.txt"));
  EXPECT_TRUE(is_wanted({{true, "*.txt"}}, "a.jpg")) << "an --include alone leaves nothing out";
}

}  // namespace
}  // namespace bale
