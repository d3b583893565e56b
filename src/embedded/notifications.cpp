#include "embedded/notifications.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::embedded {
namespace {

using nlohmann::json;
using store::NotificationRule;

/// Types that S3 knows; those that nothing here causes are accepted and never sent.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
constexpr std::array<std::string_view, 22> event_types = {"ObjectCreated:Put",
                                                          "ObjectCreated:Post",
                                                          "ObjectCreated:Copy",
                                                          "ObjectCreated:CompleteMultipartUpload",
                                                          "ObjectRemoved:Delete",
                                                          "ObjectRemoved:DeleteMarkerCreated",
                                                          "ObjectRestore:Post",
                                                          "ObjectRestore:Completed",
                                                          "ObjectRestore:Delete",
                                                          "ReducedRedundancyLostObject",
                                                          "Replication:OperationFailedReplication",
                                                          "Replication:OperationMissedThreshold",
                                                          "Replication:OperationReplicatedAfterThreshold",
                                                          "Replication:OperationNotTracked",
                                                          "LifecycleExpiration:Delete",
                                                          "LifecycleExpiration:DeleteMarkerCreated",
                                                          "LifecycleTransition",
                                                          "IntelligentTiering",
                                                          "ObjectTagging:Put",
                                                          "ObjectTagging:Delete",
                                                          "ObjectAcl:Put",
                                                          "TestEvent"};

/// "s3:ObjectCreated:*" asks for every "ObjectCreated:..." event.
bool asks_for(std::string_view pattern, std::string_view event) {
  if (!pattern.starts_with("s3:")) return false;
  pattern.remove_prefix(3);
  if (!pattern.ends_with(":*")) return pattern == event;
  pattern.remove_suffix(1);
  return event.starts_with(pattern);
}

bool share_an_event(const NotificationRule& a, const NotificationRule& b) {
  return std::any_of(event_types.begin(), event_types.end(), [&](std::string_view event) {
    const auto asks = [&](const std::string& pattern) { return asks_for(pattern, event); };
    return std::any_of(a.events.begin(), a.events.end(), asks) && std::any_of(b.events.begin(), b.events.end(), asks);
  });
}

bool could_match_one_key(const NotificationRule& a, const NotificationRule& b) {
  const bool prefixes = a.prefix.starts_with(b.prefix) || b.prefix.starts_with(a.prefix);
  const bool suffixes = a.suffix.ends_with(b.suffix) || b.suffix.ends_with(a.suffix);
  return prefixes && suffixes;
}

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("InvalidArgument"); }

void check_rule(const NotificationRule& rule) {
  if (rule.events.empty()) throw refuse("a notification rule names no events");
  for (const std::string& pattern : rule.events) {
    if (std::none_of(event_types.begin(), event_types.end(), [&](auto event) { return asks_for(pattern, event); }))
      throw refuse(fmt::format("'{}' is not an event of S3", pattern)).with_hint("use for example s3:ObjectCreated:*");
  }
  if (!is_utf8(rule.id) || !is_utf8(rule.queue) || !is_utf8(rule.prefix) || !is_utf8(rule.suffix))
    throw refuse("a notification rule is not UTF-8");
}

}  // namespace

std::string rules_to_json(const std::vector<NotificationRule>& rules) {
  if (rules.empty()) return {};
  json all = json::array();
  for (const NotificationRule& rule : rules) {
    all.push_back({{"id", rule.id},
                   {"queue", rule.queue},
                   {"events", rule.events},
                   {"prefix", rule.prefix},
                   {"suffix", rule.suffix}});
  }
  return all.dump();
}

std::vector<NotificationRule> rules_from_json(std::string_view text) {
  std::vector<NotificationRule> rules;
  if (text.empty()) return rules;
  for (const json& rule : json::parse(text))
    rules.push_back({rule.at("id"), rule.at("queue"), rule.at("events"), rule.at("prefix"), rule.at("suffix")});
  return rules;
}

void check_rules(const std::vector<NotificationRule>& rules) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_rule(rules[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (!rules[i].id.empty() && rules[i].id == rules[j].id)
        throw refuse(fmt::format("two notification rules have the id '{}'", rules[i].id));
      if (share_an_event(rules[i], rules[j]) && could_match_one_key(rules[i], rules[j])) {
        throw refuse(fmt::format("the notification rules '{}' and '{}' overlap: one event could match both",
                                 rules[j].id, rules[i].id))
            .with_hint("give them prefixes of which none starts with the other, or different events");
      }
    }
  }
}

bool matches(const NotificationRule& rule, std::string_view event, std::string_view key) {
  return key.starts_with(rule.prefix) && key.ends_with(rule.suffix) &&
         std::any_of(rule.events.begin(), rule.events.end(),
                     [&](const auto& pattern) { return asks_for(pattern, event); });
}

QueueName queue_of(const NotificationRule& rule) {
  const auto colon = rule.queue.rfind(':');
  return QueueName(colon == std::string::npos ? rule.queue : rule.queue.substr(colon + 1));
}

std::string event_message(const ObjectEvent& event, const NotificationRule& rule) {
  json object = {{"key", form_encode(event.object.key.str())}, {"sequencer", fmt::format("{:016X}", event.sequence)}};
  if (event.size) {
    object["size"] = *event.size;
    object["eTag"] = event.etag.str();
  }
  if (!event.version_id.empty()) object["versionId"] = event.version_id.str();
  const std::string& bucket = event.object.bucket.str();
  const json s3 = {{"s3SchemaVersion", "1.0"},
                   {"configurationId", rule.id},
                   {"bucket", {{"name", bucket}, {"arn", "arn:aws:s3:::" + bucket}}},
                   {"object", std::move(object)}};
  json record = {{"eventVersion", "2.1"},           {"eventSource", "aws:s3"},
                 {"awsRegion", event.region.str()}, {"eventTime", to_iso8601(event.time)},
                 {"eventName", event.name},         {"s3", s3}};
  return json{{"Records", json::array({std::move(record)})}}.dump();
}

std::string test_message(const BucketName& bucket, TimePoint time) {
  return json{{"Service", "Amazon S3"}, {"Event", "s3:TestEvent"}, {"Time", to_iso8601(time)}, {"Bucket", bucket.str()}}
      .dump();
}

}  // namespace bale::embedded
