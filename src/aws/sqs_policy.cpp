#include "aws/sqs_policy.hpp"

#include <fmt/format.h>

#include "aws/json.hpp"
#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using nlohmann::json;

/// By which our statement is known among those of others.
constexpr const char* our_sid = "BaleBucketEvents";

/// arn:PARTITION:sqs:REGION:ACCOUNT:NAME
struct QueueArn {
  std::string partition, account;
};

QueueArn parse_queue_arn(const std::string& arn, const std::string& where) {
  const std::vector<std::string_view> parts = split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn" || parts[4].empty())
    throw Error(ErrorKind::corrupt, "the queue's ARN is none", where);
  return {std::string(parts[1]), std::string(parts[4])};
}

/// `Statement` as a list: one statement may stand there by itself.
json statements_of(const json& policy) {
  const auto found = policy.find("Statement");
  if (found == policy.end()) return json::array();
  return found->is_array() ? *found : json::array({*found});
}

}  // namespace

std::string allow_bucket_events(const std::string& present, const std::string& queue_arn,
                                const std::vector<BucketName>& buckets, const std::string& where) {
  const QueueArn arn = parse_queue_arn(queue_arn, where);
  json sources = json::array();
  for (const BucketName& bucket : buckets)
    sources.push_back(fmt::format("arn:{}:s3:::{}", arn.partition, bucket.str()));
  const json ours = {{"Sid", our_sid},
                     {"Effect", "Allow"},
                     {"Principal", {{"Service", "s3.amazonaws.com"}}},
                     {"Action", "sqs:SendMessage"},
                     {"Resource", queue_arn},
                     {"Condition",
                      {{"ArnLike", {{"aws:SourceArn", sources}}},
                       // A bucket's name may be somebody else's tomorrow: the account may not.
                       {"StringEquals", {{"aws:SourceAccount", arn.account}}}}}};
  json policy = {{"Version", "2012-10-17"}};
  if (!present.empty()) {
    policy = parse_json(present);
    if (!policy.is_object())
      throw Error(ErrorKind::invalid, "the queue's policy is no JSON object", where, "correct or remove the policy");
  }
  json statements = json::array();
  bool same = false;
  for (const json& statement : statements_of(policy)) {
    const bool is_ours = statement.is_object() && text_of(statement, "Sid") == our_sid;
    same = same || (is_ours && statement == ours);
    if (!is_ours) statements.push_back(statement);
  }
  if (same) return present;
  statements.push_back(ours);
  policy["Statement"] = std::move(statements);
  return policy.dump();
}

std::string parse_policy(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const auto attributes = document.find("Attributes");  // none set: no member
  if (attributes == document.end() || !attributes->is_object()) return {};
  return text_of(*attributes, "Policy");
}

}  // namespace bale::aws
