#include "aws/sqs_policy.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using nlohmann::json;

const std::string arn = "arn:aws-cn:sqs:cn-north-1:123456789012:q";
const std::string where = "queue q";

json allowed(const std::string& present, const std::vector<BucketName>& buckets) {
  return json::parse(allow_bucket_events(present, arn, buckets, where));
}

const json s3_may_send = json::parse(R"({
  "Sid": "BaleBucketEvents",
  "Effect": "Allow",
  "Principal": {"Service": "s3.amazonaws.com"},
  "Action": "sqs:SendMessage",
  "Resource": "arn:aws-cn:sqs:cn-north-1:123456789012:q",
  "Condition": {
    "ArnLike": {"aws:SourceArn": ["arn:aws-cn:s3:::a", "arn:aws-cn:s3:::b"]},
    "StringEquals": {"aws:SourceAccount": "123456789012"}
  }
})");

TEST(SqsPolicy, LetsTheBucketsOfOneAccountSend) {
  const json policy = allowed("", {BucketName("a"), BucketName("b")});
  EXPECT_EQ(policy, (json{{"Version", "2012-10-17"}, {"Statement", json::array({s3_may_send})}}));
}

TEST(SqsPolicy, KeepsTheStatementsOfOthers) {
  const json other = {{"Sid", "other"}, {"Effect", "Deny"}, {"Principal", "*"}};
  const json alone = {{"Version", "2008-10-17"}, {"Id", "mine"}, {"Statement", other}};  // one, without a list
  const json policy = allowed(alone.dump(), {BucketName("a"), BucketName("b")});
  EXPECT_EQ(policy["Statement"], json::array({other, s3_may_send}));
  EXPECT_EQ(policy["Version"], "2008-10-17");
  EXPECT_EQ(policy["Id"], "mine");
}

TEST(SqsPolicy, ReplacesItsOwnStatementAndNoOther) {
  const json other = {{"Sid", "other"}, {"Effect", "Deny"}, {"Principal", "*"}};
  const json before = {{"Version", "2012-10-17"}, {"Statement", json::array({other})}};
  const std::string first = allow_bucket_events(before.dump(), arn, {BucketName("c")}, where);
  EXPECT_EQ(allowed(first, {BucketName("a"), BucketName("b")})["Statement"], json::array({other, s3_may_send}));
}

TEST(SqsPolicy, StaysAsItIsWhereItSaysSoAlready) {
  const json present = {{"Statement", json::array({s3_may_send})}, {"Version", "2012-10-17"}};
  const std::string text = present.dump(2);  // as others may have written it
  EXPECT_EQ(allow_bucket_events(text, arn, {BucketName("a"), BucketName("b")}, where), text);
}

TEST(SqsPolicy, RefusesWhatItCannotAddTo) {
  const std::vector<BucketName> buckets{BucketName("a")};
  EXPECT_ERROR(ErrorKind::invalid, "", allow_bucket_events("no JSON", arn, buckets, where));
  EXPECT_ERROR(ErrorKind::invalid, "", allow_bucket_events("[]", arn, buckets, where));
  EXPECT_ERROR(ErrorKind::corrupt, "", allow_bucket_events("", "q", buckets, where));
  EXPECT_ERROR(ErrorKind::corrupt, "", allow_bucket_events("", "arn:aws:sqs:eu-west-1::q", buckets, where));
}

TEST(SqsPolicy, IsReadFromTheAnswer) {
  EXPECT_EQ(parse_policy("{}", where), "");
  EXPECT_EQ(parse_policy(R"({"Attributes":{}})", where), "");
  EXPECT_EQ(parse_policy(R"({"Attributes":{"Policy":"{\"a\":1}"}})", where), R"({"a":1})");
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_policy("[]", where));
}

}  // namespace
}  // namespace bale::aws
