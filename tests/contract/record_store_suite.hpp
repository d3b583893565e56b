// What every RecordStore must do: the documented behaviour of DynamoDB.
//
// A kind is a class with
//   records::RecordStore& records();
//   std::string name(const std::string&);  // a name of a table that no other test uses, always the same for one text
// It is an AsDynamoDb, and replaces there what it does otherwise. Only the assertions about that are left out for it;
// docs/testing.md says what each deviation means for Bale.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

#include "contract/errors.hpp"
#include "records/record_store.hpp"

namespace bale::testing {

/// What DynamoDB does, and some servers do not.
struct AsDynamoDb {
  static constexpr bool takes_largest_item = true;     ///< of 400 KiB, as DynamoDB measures it
  static constexpr bool compares_across_types = true;  ///< such a condition does not hold, and breaks nothing
  static constexpr bool adds_all_digits = true;        ///< all 38
  static constexpr bool has_atomic_updates = true;     ///< updates at the same time do not lose each other
};

template <typename Kind>
class RecordStoreSuite : public ::testing::Test {
 protected:
  void SetUp() override {
    records().create_table(simple_, {{"id", records::KeyType::string}, std::nullopt});
    records().create_table(sorted_,
                           {{"id", records::KeyType::string}, records::KeyAttribute{"at", records::KeyType::number}});
  }
  records::RecordStore& records() { return kind_.records(); }
  static records::Item item(const std::string& id, records::Map others = {}) {
    others.insert_or_assign("id", records::Value(id));
    return others;
  }
  static records::Value number(const std::string& digits) { return records::Value(records::Number{digits}); }
  /// The "at" of all items of one partition, page by page.
  std::vector<std::string> sort_keys(records::QueryRequest request) {
    std::vector<std::string> found;
    do {
      const auto page = records().query(sorted_, request);
      for (const auto& each : page.items) found.push_back(std::get<records::Number>(each.at("at").data).digits);
      request.start_after = page.last_key;
    } while (request.start_after);
    return found;
  }

  Kind kind_;
  TableName simple_{kind_.name("simple")}, sorted_{kind_.name("sorted")};
};

TYPED_TEST_SUITE_P(RecordStoreSuite);

TYPED_TEST_P(RecordStoreSuite, ManagesTables) {
  using namespace records;
  const auto schema = this->records().describe_table(this->sorted_);
  ASSERT_TRUE(schema && schema->sort);
  EXPECT_EQ(schema->partition.name, "id");
  EXPECT_EQ(schema->sort->type, KeyType::number);
  EXPECT_ERROR(ErrorKind::precondition, "ResourceInUseException", this->records().create_table(this->sorted_, *schema));
  EXPECT_THAT(this->records().list_tables(), ::testing::IsSupersetOf({this->simple_, this->sorted_}));
  this->records().put(this->simple_, this->item("a"));
  this->records().delete_table(this->simple_);
  EXPECT_FALSE(this->records().describe_table(this->simple_));
  EXPECT_ERROR(ErrorKind::not_found, "ResourceNotFoundException", this->records().get(this->simple_, this->item("a")));
  this->records().create_table(this->simple_, {{"id", KeyType::string}, std::nullopt});
  EXPECT_FALSE(this->records().get(this->simple_, this->item("a")));
}

TYPED_TEST_P(RecordStoreSuite, KeepsEveryType) {
  using namespace records;
  const Item item =
      this->item("a", {{"text", Value("ü\n\"")},
                       {"empty", Value("")},
                       {"number", this->number("-12345678901234567890123456789012345678")},
                       {"fraction", this->number("0.00000012")},
                       {"flag", Value(true)},
                       {"binary", Value(Binary{std::string("\0\xff\x80", 3)})},
                       {"null", Value(Null{})},
                       {"strings", Value(StringSet{{"a", "b"}})},
                       {"numbers", Value(NumberSet{{"1", "2.5"}})},
                       {"binaries", Value(BinarySet{{"x", "y"}})},
                       {"list", Value(List{Value("a"), this->number("1"), Value(Map{{"k", Value(false)}})})},
                       {"map", Value(Map{{"deep", Value(Map{{"er", Value(List{})}})}})}});
  this->records().put(this->simple_, item);
  EXPECT_EQ(this->records().get(this->simple_, this->item("a")), item);
  this->records().put(this->simple_, this->item("a"));  // replaces all of it
  EXPECT_EQ(this->records().get(this->simple_, this->item("a")), this->item("a"));
  this->records().remove(this->simple_, this->item("a"));
  this->records().remove(this->simple_, this->item("a"));
  EXPECT_FALSE(this->records().get(this->simple_, this->item("a")));
}

TYPED_TEST_P(RecordStoreSuite, NormalizesNumbers) {
  this->records().put(this->simple_, this->item("a", {{"n", this->number("0012.500")}}));
  EXPECT_EQ(this->records().get(this->simple_, this->item("a"))->at("n"), this->number("12.5"));
}

TYPED_TEST_P(RecordStoreSuite, RefusesWhatDynamoDbRefuses) {
  using namespace records;
  const auto put = [&](const Item& item) { this->records().put(this->simple_, item); };
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", put({{"other", Value("a")}}));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", put({{"id", this->number("1")}}));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", put(this->item("")));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", put(this->item("a", {{"s", Value(StringSet{})}})));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", put(this->item("a", {{"n", this->number("one")}})));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException",
               put(this->item("a", {{"n", this->number(std::string(39, '1'))}})));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException",
               put(this->item("a", {{"x", Value(std::string(max_item_bytes, 'x'))}})));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException",
               this->records().get(this->simple_, this->item("a", {{"more", Value("x")}})));
  if constexpr (TypeParam::takes_largest_item) {
    put(this->item("a", {{"x", Value(std::string(max_item_bytes - 4, 'x'))}}));
  }
}

TYPED_TEST_P(RecordStoreSuite, ChecksConditions) {
  using namespace records;
  using Must = Condition::Test;
  this->records().put(this->simple_, this->item("a", {{"n", this->number("9")}, {"s", Value("text")}}),
                      {{"id", Must::not_exists, {}}});
  const auto holds = [&](const Condition& condition) {
    try {
      this->records().put(this->simple_, *this->records().get(this->simple_, this->item("a")), {condition});
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "ConditionalCheckFailedException");
      return false;
    }
  };
  EXPECT_FALSE(holds({"id", Must::not_exists, {}}));
  EXPECT_TRUE(holds({"id", Must::exists, {}}));
  EXPECT_TRUE(holds({"n", Must::less, this->number("10")}));  // as numbers, not as text
  EXPECT_FALSE(holds({"n", Must::greater, this->number("10")}));
  EXPECT_TRUE(holds({"n", Must::equal, this->number("9.0")}));
  EXPECT_FALSE(holds({"n", Must::not_equal, this->number("9")}));
  EXPECT_TRUE(holds({"n", Must::less_or_equal, this->number("9")}));
  EXPECT_TRUE(holds({"n", Must::greater_or_equal, this->number("9")}));
  // Other types do not compare.
  if constexpr (TypeParam::compares_across_types) {
    EXPECT_FALSE(holds({"n", Must::less, Value("a")}));
  }
  EXPECT_TRUE(holds({"s", Must::greater, Value("tex")}));
  EXPECT_FALSE(holds({"none", Must::equal, Value("a")}));
  EXPECT_TRUE(holds({"none", Must::not_equal, Value("a")}));
  EXPECT_TRUE(holds({"none", Must::not_exists, {}}));
  EXPECT_ERROR(ErrorKind::precondition, "ConditionalCheckFailedException",
               this->records().remove(this->simple_, this->item("a"), {{"n", Must::equal, this->number("1")}}));
  EXPECT_TRUE(this->records().get(this->simple_, this->item("a")));
}

TYPED_TEST_P(RecordStoreSuite, UpdatesNestedPaths) {
  using namespace records;
  Update create;
  create.set.push_back({{"levels"}, Value(Map{})});
  create.add.push_back({{"count"}, Number{"0.1"}});
  this->records().update(this->simple_, this->item("a"), create);
  Update change;
  change.set.push_back({{"levels", "12"}, Value(Map{{"trials", this->number("1")}})});
  change.set.push_back({{"kept"}, Value("first"), true});
  change.add.push_back({{"count"}, Number{"0.2"}});
  this->records().update(this->simple_, this->item("a"), change);
  Update again;
  again.set.push_back({{"kept"}, Value("second"), true});
  again.add.push_back({{"levels", "12", "trials"}, Number{"-3"}});
  again.add.push_back({{"count"}, Number{"99999999999999999999999999999999999"}});
  again.remove.push_back({"none"});
  const Item item = this->records().update(this->simple_, this->item("a"), again);
  EXPECT_EQ(item.at("kept"), Value("first"));
  if constexpr (TypeParam::adds_all_digits) {
    EXPECT_EQ(item.at("count"), this->number("99999999999999999999999999999999999.3"));
  }
  EXPECT_EQ(std::get<Map>(std::get<Map>(item.at("levels").data).at("12").data).at("trials"), this->number("-2"));
  EXPECT_EQ(this->records().get(this->simple_, this->item("a")), item);
}

TYPED_TEST_P(RecordStoreSuite, RefusesUpdatesThatCannotBe) {
  using namespace records;
  this->records().put(this->simple_, this->item("a", {{"s", Value("text")}}));
  const auto refuse = [&](const Update& update) {
    EXPECT_ERROR(ErrorKind::invalid, "ValidationException",
                 this->records().update(this->simple_, this->item("a"), update));
  };
  refuse({{{{"id"}, Value("b")}}, {}, {}});
  refuse({{{{"none", "member"}, Value("b")}}, {}, {}});
  refuse({{}, {{{"s"}, Number{"1"}}}, {}});
  refuse({{{{"x"}, Value("1")}, {{"x"}, Value("2")}}, {}, {}});
  refuse({{{{"x"}, Value(Map{})}, {{"x", "y"}, Value("2")}}, {}, {}});
  EXPECT_EQ(this->records().get(this->simple_, this->item("a")), this->item("a", {{"s", Value("text")}}));
}

TYPED_TEST_P(RecordStoreSuite, AddsExactlyUnderConcurrency) {
  if (!TypeParam::has_atomic_updates) GTEST_SKIP() << "the server loses updates";
  using namespace records;
  Update add;
  add.add.push_back({{"n"}, Number{"0.01"}});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 25; ++i) this->records().update(this->simple_, this->item("a"), add);
      });
    }
  }
  EXPECT_EQ(this->records().get(this->simple_, this->item("a"))->at("n"), this->number("1"));
}

TYPED_TEST_P(RecordStoreSuite, QueriesInNumericOrder) {
  using namespace records;
  const std::vector<std::string> ordered = {"-100", "-20", "-19.5", "-0.1", "0", "0.05", "0.5", "1", "9", "10", "100"};
  for (const std::string& at : ordered) this->records().put(this->sorted_, this->item("p", {{"at", this->number(at)}}));
  this->records().put(this->sorted_, this->item("q", {{"at", this->number("5")}}));
  for (const std::uint32_t limit : {0u, 1u, 3u, 11u}) {
    QueryRequest request;
    request.partition = Value("p");
    request.limit = limit;
    EXPECT_EQ(this->sort_keys(request), ordered) << limit;
    request.descending = true;
    EXPECT_EQ(this->sort_keys(request), (std::vector<std::string>(ordered.rbegin(), ordered.rend()))) << limit;
  }
}

TYPED_TEST_P(RecordStoreSuite, QueriesByPrefixAndBinaryKeys) {
  using namespace records;
  const TableName texts(this->kind_.name("texts")), binaries(this->kind_.name("binaries"));
  this->records().create_table(texts, {{"id", KeyType::string}, KeyAttribute{"s", KeyType::string}});
  for (const char* s : {"a", "ab", "abc", "b", "aé"}) this->records().put(texts, this->item("p", {{"s", Value(s)}}));
  QueryRequest request;
  request.partition = Value("p");
  request.sort_prefix = "ab";
  EXPECT_EQ(this->records().query(texts, request).items.size(), 2u);
  request.sort_prefix = "a";
  EXPECT_EQ(this->records().query(texts, request).items.size(), 4u);

  this->records().create_table(binaries, {{"id", KeyType::binary}, KeyAttribute{"s", KeyType::binary}});
  const Value partition(Binary{std::string("\0\xff", 2)});
  const std::vector<std::string> ordered = {
      std::string(1, '\0'), std::string("\0\0", 2), "a", "\x80", "\xff", "\xff\xff"};
  for (const std::string& s : ordered) this->records().put(binaries, {{"id", partition}, {"s", Value(Binary{s})}});
  request = {};
  request.partition = partition;
  std::vector<std::string> found;
  for (const auto& each : this->records().query(binaries, request).items)
    found.push_back(std::get<Binary>(each.at("s").data).bytes);
  EXPECT_EQ(found, ordered);
}

TYPED_TEST_P(RecordStoreSuite, ScansInSegments) {
  using namespace records;
  std::set<std::string> all;
  for (int i = 0; i < 60; ++i) {
    all.insert("id" + std::to_string(i));
    this->records().put(this->simple_, this->item("id" + std::to_string(i)));
  }
  for (const std::uint32_t total : {1u, 3u, 7u}) {
    std::multiset<std::string> found;
    for (std::uint32_t segment = 0; segment < total; ++segment) {
      ScanRequest request;
      request.segment = segment;
      request.total_segments = total;
      request.limit = 4;
      do {
        const auto page = this->records().scan(this->simple_, request);
        EXPECT_LE(page.items.size(), 4u);
        for (const auto& each : page.items) found.insert(std::get<std::string>(each.at("id").data));
        request.start_after = page.last_key;
      } while (request.start_after);
    }
    EXPECT_EQ(found, (std::multiset<std::string>(all.begin(), all.end()))) << total;
  }
  ScanRequest request;
  request.segment = 3;
  request.total_segments = 3;
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", this->records().scan(this->simple_, request));
}

TYPED_TEST_P(RecordStoreSuite, EndsPagesAtOneMegabyte) {
  using namespace records;
  for (int i = 0; i < 4; ++i)
    this->records().put(this->simple_, this->item(std::to_string(i), {{"x", Value(std::string(390'000, 'x'))}}));
  std::size_t items = 0, pages = 0;
  ScanRequest request;
  do {
    const auto page = this->records().scan(this->simple_, request);
    items += page.items.size();
    ++pages;
    request.start_after = page.last_key;
  } while (request.start_after);
  EXPECT_EQ(items, 4u);
  EXPECT_GE(pages, 2u);
}

TYPED_TEST_P(RecordStoreSuite, PutsBatches) {
  using namespace records;
  std::vector<Item> items;
  for (int i = 0; i < 25; ++i) items.push_back(this->item(std::to_string(i), {{"i", this->number(std::to_string(i))}}));
  EXPECT_THAT(this->records().put_batch(this->simple_, items), ::testing::IsEmpty());
  EXPECT_EQ(this->records().get(this->simple_, this->item("24"))->at("i"), this->number("24"));
  items.push_back(this->item("25"));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException", this->records().put_batch(this->simple_, items));
  EXPECT_ERROR(ErrorKind::invalid, "ValidationException",
               this->records().put_batch(this->simple_, {this->item("x"), this->item("x")}));
  EXPECT_FALSE(this->records().get(this->simple_, this->item("x")));
}

REGISTER_TYPED_TEST_SUITE_P(RecordStoreSuite, ManagesTables, KeepsEveryType, NormalizesNumbers,
                            RefusesWhatDynamoDbRefuses, ChecksConditions, UpdatesNestedPaths,
                            RefusesUpdatesThatCannotBe, AddsExactlyUnderConcurrency, QueriesInNumericOrder,
                            QueriesByPrefixAndBinaryKeys, ScansInSegments, EndsPagesAtOneMegabyte, PutsBatches);

}  // namespace bale::testing
