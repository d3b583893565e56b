#include "base/wildcards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bale {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Wildcard, MatchesTheWholeText) {
  EXPECT_TRUE(wildcard_match("*.txt", "a/b.txt"));
  EXPECT_TRUE(wildcard_match("a*b*c", "aXbXbXc"));
  EXPECT_TRUE(wildcard_match("", ""));
  EXPECT_TRUE(wildcard_match("***", ""));
  EXPECT_TRUE(wildcard_match("a?c", "abc"));
  EXPECT_FALSE(wildcard_match("a?c", "ac"));
  EXPECT_FALSE(wildcard_match("*.txt", "a.txt.gz"));
  EXPECT_FALSE(wildcard_match("", "a"));
}

TEST(Wildcard, TakesNoExponentialTime) {
  EXPECT_FALSE(wildcard_match("*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(Wildcard, IsEscapedByABackslash) {
  EXPECT_TRUE(wildcard_match("star\\*name", "star*name"));
  EXPECT_FALSE(wildcard_match("star\\*name", "starXname"));
  EXPECT_FALSE(wildcard_match("star\\*name", "star\\*name"));
  EXPECT_TRUE(wildcard_match("*\\?", "what?"));
  EXPECT_FALSE(wildcard_match("*\\?", "whatX"));
  EXPECT_TRUE(wildcard_match("a\\\\*", "a\\b")) << "a backslash, and a star that stands for others";
  EXPECT_FALSE(wildcard_match("a\\\\*", "a*"));
  EXPECT_TRUE(wildcard_match("back\\slash\\", "back\\slash\\")) << "before other characters it is itself";
  EXPECT_TRUE(wildcard_match("per%c_nt[x]", "per%c_nt[x]"));
  EXPECT_FALSE(wildcard_match("per%nt", "percent"));
}

TEST(Wildcard, TellsPatternsFromNames) {
  for (const char* pattern : {"*", "a?", "\\\\*", "\\*?"}) EXPECT_TRUE(has_wildcards(pattern)) << pattern;
  for (const char* name : {"", "a%b", "\\*", "\\?x\\*", "\\", "\\\\", "[a]"}) EXPECT_FALSE(has_wildcards(name)) << name;
  EXPECT_EQ(without_escapes("a\\*b\\?\\\\c\\d\\"), "a*b?\\c\\d\\");
  EXPECT_EQ(without_escapes("plain%"), "plain%");
}

TEST(Wildcard, NamesWhatEveryMatchContains) {
  EXPECT_THAT(literals_of_wildcards("ab*cd?e"), ElementsAre("ab", "cd", "e"));
  EXPECT_THAT(literals_of_wildcards("a\\*b\\\\c\\d"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(literals_of_wildcards("*?\\"), IsEmpty());
}

}  // namespace
}  // namespace bale
