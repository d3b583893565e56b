#include "aws/dynamodb.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using records::Condition;
using records::Item;
using records::KeyType;
using records::Number;
using records::Value;

const DynamoRequests dynamo({{"http", "h", 1}, "", "eu-west-1", true});
const TableName table("t");
const Item key{{"id", Value("k")}};
const std::string where = "table t";

std::string wire(const Call& call) {
  EXPECT_EQ(http::url_of(call.request), "http://h:1/");
  EXPECT_EQ(call.request.headers.get("content-type"), "application/x-amz-json-1.0");
  const std::string target(call.request.headers.get("x-amz-target"));
  EXPECT_TRUE(target.starts_with("DynamoDB_20120810."));
  return target.substr(18) + " " + call.body;
}

TEST(DynamoRequests, ForTables) {
  EXPECT_EQ(wire(dynamo.create_table(table, {{"id", KeyType::binary}, {{"at", KeyType::number}}})),
            R"-(CreateTable {"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"B"},)-"
            R"-({"AttributeName":"at","AttributeType":"N"}],"BillingMode":"PAY_PER_REQUEST",)-"
            R"-("KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"at","KeyType":"RANGE"}],)-"
            R"-("TableName":"t"})-");
  EXPECT_EQ(wire(dynamo.describe_table(table)), R"-(DescribeTable {"TableName":"t"})-");
  EXPECT_EQ(wire(dynamo.delete_table(table)), R"-(DeleteTable {"TableName":"t"})-");
  EXPECT_EQ(wire(dynamo.list_tables("")), "ListTables {}");
  EXPECT_EQ(wire(dynamo.list_tables("a")), R"-(ListTables {"ExclusiveStartTableName":"a"})-");
}

TEST(DynamoRequests, ForItems) {
  EXPECT_EQ(wire(dynamo.get(table, key)),
            R"-(GetItem {"ConsistentRead":true,"Key":{"id":{"S":"k"}},"TableName":"t"})-");
  EXPECT_EQ(wire(dynamo.put(table, key, {})), R"-(PutItem {"Item":{"id":{"S":"k"}},"TableName":"t"})-");
  EXPECT_TRUE(dynamo.put(table, key, {}).request.may_repeat);
  const std::vector<Condition> conditions{{"Version", Condition::Test::equal, Value(std::int64_t{3})},
                                          {"id", Condition::Test::not_exists, {}},
                                          {"Version", Condition::Test::less_or_equal, Value(std::int64_t{4})}};
  const Call put = dynamo.put(table, key, conditions);
  EXPECT_EQ(wire(put), R"-(PutItem {"ConditionExpression":"#n0 = :v0 AND attribute_not_exists(#n1) AND #n0 <= :v1",)-"
                       R"-("ExpressionAttributeNames":{"#n0":"Version","#n1":"id"},)-"
                       R"-("ExpressionAttributeValues":{":v0":{"N":"3"},":v1":{"N":"4"}},)-"
                       R"-("Item":{"id":{"S":"k"}},"TableName":"t"})-");
  EXPECT_FALSE(put.request.may_repeat);
  EXPECT_EQ(wire(dynamo.remove(table, key, {{"a.b", Condition::Test::exists, {}}})),
            R"-(DeleteItem {"ConditionExpression":"attribute_exists(#n0)","ExpressionAttributeNames":{"#n0":"a.b"},)-"
            R"-("Key":{"id":{"S":"k"}},"TableName":"t"})-");
  EXPECT_EQ(wire(dynamo.put_batch(table, {key})),
            R"-(BatchWriteItem {"RequestItems":{"t":[{"PutRequest":{"Item":{"id":{"S":"k"}}}}]}})-");
}

TEST(DynamoRequests, ForUpdates) {
  records::Update update;
  update.set = {{{"m", "12"}, Value("x"), false}, {{"first"}, Value("y"), true}};
  update.add = {{{"m", "trials"}, Number{"0.5"}}};
  update.remove = {{"gone"}, {"m", "old"}};
  const Call call = dynamo.update(table, key, update, {{"id", Condition::Test::exists, {}}});
  EXPECT_EQ(wire(call),
            R"-(UpdateItem {"ConditionExpression":"attribute_exists(#n6)","ExpressionAttributeNames":{"#n0":"m",)-"
            R"-("#n1":"12","#n2":"first","#n3":"trials","#n4":"gone","#n5":"old","#n6":"id"},)-"
            R"-("ExpressionAttributeValues":{":v0":{"S":"x"},":v1":{"S":"y"},":v2":{"N":"0"},":v3":{"N":"0.5"}},)-"
            R"-("Key":{"id":{"S":"k"}},"ReturnValues":"ALL_NEW","TableName":"t",)-"
            R"-("UpdateExpression":"SET #n0.#n1 = :v0, #n2 = if_not_exists(#n2, :v1), )-"
            R"-(#n0.#n3 = if_not_exists(#n0.#n3, :v2) + :v3 REMOVE #n4, #n0.#n5"})-");
  EXPECT_FALSE(call.request.may_repeat);
  records::Update adding;
  adding.add = {{{"n"}, Number{"1"}}};
  EXPECT_FALSE(dynamo.update(table, key, adding, {}).request.may_repeat);
  EXPECT_EQ(wire(dynamo.update(table, key, {}, {})),
            R"-(UpdateItem {"Key":{"id":{"S":"k"}},"ReturnValues":"ALL_NEW","TableName":"t"})-");
}

TEST(DynamoRequests, ForPages) {
  records::QueryRequest query{Value("p"), "pre", key, 5, true};
  EXPECT_EQ(wire(dynamo.query(table, {{"id", KeyType::string}, {{"at", KeyType::string}}}, query)),
            R"-(Query {"ConsistentRead":true,"ExclusiveStartKey":{"id":{"S":"k"}},"ExpressionAttributeNames":)-"
            R"-({"#n0":"id","#n1":"at"},"ExpressionAttributeValues":{":v0":{"S":"p"},":v1":{"S":"pre"}},)-"
            R"-("KeyConditionExpression":"#n0 = :v0 AND begins_with(#n1, :v1)","Limit":5,"ScanIndexForward":false,)-"
            R"-("TableName":"t"})-");
  EXPECT_ERROR(ErrorKind::invalid, "", dynamo.query(table, {{"id", KeyType::string}, {}}, query));
  EXPECT_EQ(wire(dynamo.scan(table, {2, 4, key, 0})),
            R"-(Scan {"ConsistentRead":true,"ExclusiveStartKey":{"id":{"S":"k"}},"Segment":2,"TableName":"t",)-"
            R"-("TotalSegments":4})-");
}

TEST(DynamoAnswers, OfTables) {
  const TableDescription got =
      parse_table(R"-({"Table":{"TableStatus":"ACTIVE","KeySchema":[{"AttributeName":"id","KeyType":"HASH"},)-"
                  R"-({"AttributeName":"at","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"at",)-"
                  R"-("AttributeType":"N"},)-"
                  R"-({"AttributeName":"id","AttributeType":"B"}]}})-",
                  where);
  EXPECT_EQ(got.state, TableState::usable);
  EXPECT_EQ(got.schema.partition.name, "id");
  EXPECT_EQ(got.schema.partition.type, KeyType::binary);
  EXPECT_EQ(got.schema.sort->name, "at");
  EXPECT_EQ(got.schema.sort->type, KeyType::number);
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_table("{}", where));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_table(R"-({"Table":{}})-", where));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_table(R"-({"Table":7})-", where));
  EXPECT_EQ(parse_table(R"-({"Table":{"TableStatus":"DELETING"}})-", where).state, TableState::deleting);
  const TablePage page = parse_tables(R"-({"TableNames":["a","b"],"LastEvaluatedTableName":"b"})-", where);
  EXPECT_EQ(page.tables.size(), 2u);
  EXPECT_EQ(page.next, "b");
}

TEST(DynamoAnswers, OfItems) {
  EXPECT_EQ(parse_item("{}", where), std::nullopt);
  EXPECT_EQ(parse_item(R"-({"Item":{"id":{"S":"k"}}})-", where), key);
  EXPECT_EQ(parse_updated(R"-({"Attributes":{"id":{"S":"k"}}})-", where), key);
  const records::ItemPage page = parse_items(R"-({"Items":[],"Count":0,"LastEvaluatedKey":{"id":{"S":"k"}}})-", where);
  EXPECT_TRUE(page.items.empty());
  EXPECT_EQ(page.last_key, key);  // an empty page is not the end
  EXPECT_EQ(parse_items(R"-({"Items":[{"id":{"S":"k"}}]})-", where).last_key, std::nullopt);
  EXPECT_EQ(
      parse_unprocessed(R"-({"UnprocessedItems":{"t":[{"PutRequest":{"Item":{"id":{"S":"k"}}}}]}})-", table, where),
      std::vector<Item>{key});
  EXPECT_TRUE(parse_unprocessed(R"-({"UnprocessedItems":{}})-", table, where).empty());
  for (const char* body : {"", "1", "<html>", R"-({"error":"log in first"})-"})
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_item(body, where));
  for (const char* body : {"{}", R"-({"error":"log in first"})-"}) {
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_items(body, where));
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_tables(body, where));
  }
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService",
               parse_unprocessed(R"-({"error":"log in first"})-", table, where));
  for (const char* body : {R"-({"Item":7})-", R"-({"Item":{"id":{"S":7}}})-", R"-({"Item":{"id":{"X":"k"}}})-"})
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_item(body, where));
  EXPECT_ERROR(ErrorKind::corrupt, "",
               parse_unprocessed(R"-({"UnprocessedItems":{"t":[{"DeleteRequest":{}}]}})-", table, where));
}

TEST(DynamoAnswers, AreHeldAgainstTheirChecksum) {
  const std::string_view body = "123456789";  // the check value of CRC-32 is known for this
  check_crc32({200, {{"x-amz-crc32", "3421780262"}}}, body, where);
  check_crc32({200, {}}, body, where);
  EXPECT_ERROR(ErrorKind::unavailable, "", check_crc32({200, {{"x-amz-crc32", "3421780263"}}}, body, where));
}

}  // namespace
}  // namespace bale::aws
