#include "base/json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bale {
namespace {

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(JsonDepth, CountsArraysAndObjectsThatAreOpenAtOnce) {
  EXPECT_FALSE(is_nested_deeper("", 0));
  EXPECT_FALSE(is_nested_deeper("1", 0));
  EXPECT_TRUE(is_nested_deeper("[]", 0));
  EXPECT_FALSE(is_nested_deeper("[[],[],{},{}]", 2));
  EXPECT_TRUE(is_nested_deeper(R"({"a":[{}]})", 2));
  EXPECT_FALSE(is_nested_deeper(repeat("[", 128) + repeat("]", 128)));
  EXPECT_TRUE(is_nested_deeper(repeat("[", 129) + repeat("]", 129)));
  EXPECT_TRUE(is_nested_deeper(repeat(R"({"a":)", 129)));
}

TEST(JsonDepth, IgnoresBracketsInStrings) {
  EXPECT_FALSE(is_nested_deeper("\"" + repeat("[{", 1000) + "\"", 0));
  EXPECT_FALSE(is_nested_deeper(R"(["\"[[[", "\\", "[["])", 1));
  EXPECT_TRUE(is_nested_deeper(R"(["\\", [])", 1));
  EXPECT_TRUE(is_nested_deeper(R"({"\\":[)", 1));
}

TEST(JsonDepth, AcceptsBytesThatAreNoJson) {
  EXPECT_FALSE(is_nested_deeper("]]]]}}}}", 0));
  EXPECT_FALSE(is_nested_deeper("\"never ended [[[", 0));
  EXPECT_FALSE(is_nested_deeper("\"ends in an escape \\", 0));
  EXPECT_TRUE(is_nested_deeper("]]]][[", 1));
}

TEST(ParseJson, RefusesWhatIsNoJsonOrTooDeep) {
  EXPECT_EQ(parse_json(R"({"a":[1]})")["a"][0], 1);
  EXPECT_TRUE(parse_json("{").is_discarded());
  EXPECT_FALSE(parse_json(repeat("[", 128) + repeat("]", 128)).is_discarded());
  EXPECT_TRUE(parse_json(repeat("[", 129) + repeat("]", 129)).is_discarded());
  EXPECT_TRUE(parse_json(repeat("[", 3'000'000)).is_discarded());
  EXPECT_TRUE(parse_json(repeat(R"({"a":)", 1'000'000) + "1" + repeat("}", 1'000'000)).is_discarded());
}

TEST(ParseJson, MakesTheKindOfJsonThatIsAskedFor) {
  EXPECT_EQ(parse_json<nlohmann::ordered_json>(R"({"b":1,"a":2})").dump(), R"({"b":1,"a":2})");
}

}  // namespace
}  // namespace bale
