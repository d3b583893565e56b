#include <gtest/gtest.h>

#include "records/record_store.hpp"

namespace bale::records {
namespace {

TEST(DynamoDbJson, HasTheDocumentedForm) {
  const Item item = {{"b", Value(Binary{"abc"})},
                     {"f", Value(true)},
                     {"l", Value(List{Value("x"), Value(Null{})})},
                     {"m", Value(Map{{"k", Value(Number{"1"})}})},
                     {"ns", Value(NumberSet{{"1", "2"}})},
                     {"bs", Value(BinarySet{{"a"}})},
                     {"s", Value("ü")},
                     {"ss", Value(StringSet{{"a"}})}};
  const std::string json =
      R"({"b":{"B":"YWJj"},"bs":{"BS":["YQ=="]},"f":{"BOOL":true},"l":{"L":[{"S":"x"},{"NULL":true}]},)"
      R"("m":{"M":{"k":{"N":"1"}}},"ns":{"NS":["1","2"]},"s":{"S":"ü"},"ss":{"SS":["a"]}})";
  EXPECT_EQ(to_dynamodb_json(item), json);
  EXPECT_EQ(from_dynamodb_json(json), item);
}

TEST(DynamoDbJson, RefusesEverythingElse) {
  std::string deep = R"({"S":"x"})";
  for (int i = 0; i < 40; ++i) deep = R"({"L":[)" + deep + "]}";
  const std::string deeper = std::string(200'000, '[') + std::string(200'000, ']');
  const std::vector<std::string> bad = {"",
                                        "[]",
                                        "{",
                                        R"({"a":1})",
                                        R"({"a":{"S":1}})",
                                        R"({"a":{"S":"x","N":"1"}})",
                                        R"({"a":{}})",
                                        R"({"a":{"X":"x"}})",
                                        R"({"a":{"N":"one"}})",
                                        R"({"a":{"N":1}})",
                                        R"({"a":{"B":"*"}})",
                                        R"({"a":{"SS":[]}})",
                                        R"({"a":{"SS":["x","x"]}})",
                                        R"({"a":{"NS":["x"]}})",
                                        R"({"a":{"L":{}}})",
                                        R"({"a":{"M":[]}})",
                                        R"({"a":)" + deep + "}",
                                        R"({"a":{"L":)" + deeper + "}}"};
  for (const std::string& json : bad) {
    try {
      from_dynamodb_json(json);
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid) << json;
    }
  }
  EXPECT_THROW(to_dynamodb_json({{"a", Value("\xff")}}), Error);
}

}  // namespace
}  // namespace bale::records
