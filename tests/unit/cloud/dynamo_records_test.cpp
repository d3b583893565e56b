// What the DynamoDB kind, with its retries, makes of answers that no server of the contract suite gives.
#include "cloud/dynamo_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "records/retrying_records.hpp"
#include "unit/cloud/json_service.hpp"

namespace bale::cloud {
namespace {

using nlohmann::json;
using records::Item;
using records::Number;
using testing::answer;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::refusal;

std::string described(const std::string& status) {
  return answer(200, json({{"Table",
                            {{"TableStatus", status},
                             {"KeySchema", {{{"AttributeName", "id"}, {"KeyType", "HASH"}}}},
                             {"AttributeDefinitions", {{{"AttributeName", "id"}, {"AttributeType", "S"}}}}}}})
                         .dump());
}
/// As DynamoDB tells of a table on its way out: without its keys.
const std::string deleting = answer(200, R"({"Table":{"TableName":"table","TableStatus":"DELETING"}})");
const std::string no_table = refusal(400, "ResourceNotFoundException");
const std::string in_use = refusal(400, "ResourceInUseException");
const std::string done = answer(200, "{}");

std::string unprocessed(const std::vector<std::string>& ids) {
  json requests = json::array();
  for (const std::string& id : ids) requests.push_back({{"PutRequest", {{"Item", {{"id", {{"S", id}}}}}}}});
  return answer(200, json({{"UnprocessedItems", {{"table", requests}}}}).dump());
}

class DynamoRecordsTest : public testing::JsonService {
 protected:
  /// How many items each batch had that was asked for.
  std::vector<std::size_t> batches() {
    std::vector<std::size_t> sizes;
    for (const auto& each : asked()) sizes.push_back(each.members.at("RequestItems").at("table").size());
    return sizes;
  }

  const TableName t_{"table"};
  const records::KeySchema schema_{{"id", records::KeyType::string}, std::nullopt};
  const Item a_{{"id", "a"}}, b_{{"id", "b"}}, c_{{"id", "c"}};
  DynamoRecords bare_{*session_, Region("eu-west-1")};
  records::RetryingRecords records_{bare_, retrier_};
};

TEST_F(DynamoRecordsTest, AsksAgainWhenAnAnswerWasDamaged) {
  const std::string body = R"({"Item":{"id":{"S":"a"}}})";
  on("GetItem", {answer(200, body, {{"x-amz-crc32", "1"}}), answer(200, body, {{"x-amz-crc32", "1120732588"}})});
  EXPECT_EQ(records_.get(t_, a_), a_);
  EXPECT_EQ(asked().size(), 2u);
}

TEST_F(DynamoRecordsTest, DoesNotAddTwiceWhenTheAnswerWasDamaged) {
  on("UpdateItem", {answer(200, R"({"Attributes":{"id":{"S":"a"},"n":{"N":"1"}}})", {{"x-amz-crc32", "1"}})});
  const records::Update add{.set = {}, .add = {{{"n"}, Number{"1"}}}, .remove = {}};
  const Error error = error_of([&] { records_.update(t_, a_, add, {}); });
  EXPECT_THAT(error.what(), HasSubstr("not known whether the update was made"));
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(DynamoRecordsTest, WritesUnprocessedItemsAgainAndNoOthers) {
  on("BatchWriteItem",
     {unprocessed({"b", "c"}), refusal(400, "ProvisionedThroughputExceededException"), unprocessed({"c"}), done});
  EXPECT_TRUE(records_.put_batch(t_, {a_, b_, c_}).empty());
  EXPECT_THAT(batches(), ElementsAre(3, 2, 2, 1));
}

TEST_F(DynamoRecordsTest, GivesBackWhatIsNeverWritten) {
  on("BatchWriteItem", {unprocessed({"c"})});
  EXPECT_THAT(records_.put_batch(t_, {a_, b_, c_}), ElementsAre(c_));
  EXPECT_EQ(batches().size(), retrier_.settings().max_attempts);
}

TEST_F(DynamoRecordsTest, AddsAgainAfterThrottling) {
  on("UpdateItem", {refusal(400, "ProvisionedThroughputExceededException"),
                    answer(200, R"({"Attributes":{"id":{"S":"a"},"n":{"N":"1"}}})")});
  const Item after = records_.update(t_, a_, {.set = {}, .add = {{{"n"}, Number{"1"}}}, .remove = {}}, {});
  EXPECT_EQ(after.at("n"), records::Value(Number{"1"}));
  EXPECT_EQ(asked().size(), 2u);
}

TEST_F(DynamoRecordsTest, GivesUpWhenThroughputStaysExceeded) {
  on("GetItem", {refusal(400, "ProvisionedThroughputExceededException")});
  const Error error = error_of([&] { records_.get(t_, a_); });
  EXPECT_EQ(error.kind(), ErrorKind::throttled);
  EXPECT_THAT(error.what(), HasSubstr("gave up after 8 attempts"));
  EXPECT_EQ(asked().size(), 8u);
}

TEST_F(DynamoRecordsTest, WaitsForATableToBecomeActive) {
  on("CreateTable", {done});
  on("DescribeTable", {no_table, described("CREATING"), described("CREATING"), described("ACTIVE")});
  records_.create_table(t_, schema_);
  EXPECT_THAT(operations(),
              ElementsAre("CreateTable", "DescribeTable", "DescribeTable", "DescribeTable", "DescribeTable"));
}

TEST_F(DynamoRecordsTest, DoesNotWaitForEverForATable) {
  on("CreateTable", {done});
  on("DescribeTable", {described("CREATING")});
  const auto before = world_.clock.steady();
  const Error error = error_of([&] { bare_.create_table(t_, schema_); });
  EXPECT_EQ(error.kind(), ErrorKind::timeout);
  EXPECT_THAT(error.what(), HasSubstr("not active after five minutes (eu-west-1/table)"));
  EXPECT_THAT(error.hint(), HasSubstr("status"));
  EXPECT_LT(world_.clock.steady() - before, std::chrono::minutes(6));
  on("DeleteTable", {done});
  on("DescribeTable", {deleting});
  EXPECT_THAT(error_of([&] { bare_.delete_table(t_); }).what(), HasSubstr("not gone after five minutes"));
}

TEST_F(DynamoRecordsTest, StopsWaitingWhenTheWorldStops) {
  on("CreateTable", {done});
  on("DescribeTable", {described("CREATING")});
  world_.stop.request_stop();
  EXPECT_EQ(error_of([&] { bare_.create_table(t_, schema_); }).kind(), ErrorKind::cancelled);
}

TEST_F(DynamoRecordsTest, DeletesATableThatNoLongerTellsItsKeys) {
  on("DeleteTable", {done});
  on("DescribeTable", {described("ACTIVE"), deleting, deleting, no_table});
  records_.delete_table(t_);
  EXPECT_EQ(operations().size(), 5u);
}

TEST_F(DynamoRecordsTest, MakesATableAnewOnceTheOldOneIsGone) {
  on("CreateTable", {in_use, done});
  on("DescribeTable", {deleting, deleting, no_table, described("ACTIVE")});
  records_.create_table(t_, schema_);
  EXPECT_THAT(operations(), ElementsAre("CreateTable", "DescribeTable", "DescribeTable", "DescribeTable", "CreateTable",
                                        "DescribeTable"));
}

TEST_F(DynamoRecordsTest, LeavesATableOfOthersAlone) {
  on("CreateTable", {in_use});
  on("DescribeTable", {described("ACTIVE")});
  EXPECT_ERROR(ErrorKind::precondition, "ResourceInUseException", records_.create_table(t_, schema_));
  EXPECT_THAT(operations(), ElementsAre("CreateTable", "DescribeTable"));
}

TEST_F(DynamoRecordsTest, TellsOfATableOnceItCanBeUsed) {
  on("DescribeTable", {described("CREATING"), described("ACTIVE")});
  EXPECT_TRUE(records_.describe_table(t_));
  EXPECT_EQ(asked().size(), 2u);
  on("DescribeTable", {described("UPDATING")});
  EXPECT_TRUE(records_.describe_table(t_)) << "a table that is changed can be used";
  on("DescribeTable", {deleting});
  EXPECT_FALSE(records_.describe_table(t_));
  on("DescribeTable", {no_table});
  EXPECT_FALSE(records_.describe_table(t_));
}

TEST_F(DynamoRecordsTest, ReadsAllPagesOfAListing) {
  on("ListTables",
     {answer(200, R"({"TableNames":["a"],"LastEvaluatedTableName":"a"})"), answer(200, R"({"TableNames":["b"]})")});
  EXPECT_THAT(records_.list_tables(), ElementsAre(TableName("a"), TableName("b")));
  EXPECT_EQ(asked()[1].members["ExclusiveStartTableName"], "a");
  on("ListTables", {answer(200, R"({"TableNames":["a"],"LastEvaluatedTableName":"a"})")});
  EXPECT_EQ(error_of([&] { records_.list_tables(); }).kind(), ErrorKind::corrupt) << "the same page for ever";
}

TEST_F(DynamoRecordsTest, GoesOnFromTheLastKeyOfAPage) {
  on("DescribeTable", {described("ACTIVE")});
  on("Query", {answer(200, R"({"Items":[],"LastEvaluatedKey":{"id":{"S":"a"}}})"),
               answer(200, R"({"Items":[{"id":{"S":"b"}}]})")});
  records::QueryRequest request{.partition = "p", .sort_prefix = {}, .start_after = std::nullopt};
  const auto empty = records_.query(t_, request);
  EXPECT_TRUE(empty.items.empty());
  ASSERT_EQ(empty.last_key, a_) << "an empty page is not the end";
  request.start_after = empty.last_key;
  EXPECT_EQ(records_.query(t_, request).last_key, std::nullopt);
  const auto all = asked();
  ASSERT_EQ(all.size(), 3u) << "the keys are asked for once";
  EXPECT_EQ(all[2].members["ExclusiveStartKey"], json::parse(R"({"id":{"S":"a"}})"));
}

}  // namespace
}  // namespace bale::cloud
