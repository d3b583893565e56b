// Event notifications of a bucket: rules and the documents that are sent. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/object_store.hpp"

namespace bale::embedded {

/// Rules as they are kept in the database, and back.
std::string rules_to_json(const std::vector<store::NotificationRule>& rules);
std::vector<store::NotificationRule> rules_from_json(std::string_view json);

/// Refuses unknown events, and two rules for one type of event that could both match one key, as S3 does: prefixes
/// overlap when one starts with the other, suffixes when one ends with the other.
/// Throws Error{invalid} InvalidArgument.
void check_rules(const std::vector<store::NotificationRule>& rules);

/// Whether a rule asks for an event ("ObjectCreated:Put", without "s3:") of this key.
bool matches(const store::NotificationRule& rule, std::string_view event, std::string_view key);

/// The queue's name, of a name or an ARN.
QueueName queue_of(const store::NotificationRule& rule);

/// One thing that happened to an object.
struct ObjectEvent {
  std::string name;  ///< "ObjectCreated:Put"
  ObjectAddress object;
  Region region;
  TimePoint time{};
  std::optional<ByteCount> size;  ///< of created objects, as is the ETag
  ETag etag;
  VersionId version_id;       ///< empty where the bucket has no versioning
  std::int64_t sequence = 0;  ///< of the change; greater is later
};

/// The message that S3 sends for an event.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
std::string event_message(const ObjectEvent& event, const store::NotificationRule& rule);
/// The message that S3 sends when rules are set.
std::string test_message(const BucketName& bucket, TimePoint time);

}  // namespace bale::embedded
