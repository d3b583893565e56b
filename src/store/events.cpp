#include "store/events.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sequencer_order.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

using Json = nlohmann::json;

Error malformed(std::string_view what) {
  return Error(ErrorKind::invalid, fmt::format("a message that is not an S3 event: {}", what), {},
               "it goes to the dead-letter queue; remove whatever else sends to this queue");
}

const Json& member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) throw malformed(fmt::format("'{}' is missing", name));
  return *found;
}

const Json& object_member(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_object()) throw malformed(fmt::format("'{}' is not an object", name));
  return value;
}

std::string text_member(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_string()) throw malformed(fmt::format("'{}' is not a string", name));
  return value.get<std::string>();
}

std::string optional_text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_test_event(const Json& document) {
  if (optional_text(document, "Event") == "s3:TestEvent") return true;
  const auto records = document.find("Records");
  if (records == document.end() || !records->is_array() || records->empty()) return false;
  return std::all_of(records->begin(), records->end(), [](const Json& record) {
    return record.is_object() && optional_text(record, "eventName") == "s3:TestEvent";
  });
}

/// Amazon S3, Ceph RGW and MinIO write the same records under names of their own.
bool is_known_source(std::string_view source) {
  return source == "aws:s3" || source == "ceph:s3" || source == "minio:s3";
}

/// 0 where the event tells none, or one that no object of any store has.
ByteCount size_of(const Json& object) {
  constexpr ByteCount most = 1ULL << 50;
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_unsigned()) return 0;
  const auto claimed = size->get<ByteCount>();
  return claimed <= most ? claimed : 0;
}

// The longest that S3 gives, or more where it does not say: what is longer was not written by a store.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html (keys), .../versioning-workflows.html
// (versions)
constexpr std::size_t max_bucket_bytes = 255;  // 63 since 2018
constexpr std::size_t max_key_bytes = 1024;
constexpr std::size_t max_version_bytes = 1024;
constexpr std::size_t max_etag_bytes = 256;
constexpr std::size_t max_sequencer_bytes = 128;  // S3's have 18 digits

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

void check_length(const char* what, const std::string& text, std::size_t most) {
  if (text.size() > most) throw malformed(fmt::format("{} has {} bytes, more than {}", what, text.size(), most));
}

/// Refuses what is no name of a bucket: letters, digits, '.', '-' and '_' with a letter or digit first.
void check_bucket(const std::string& name) {
  check_length("the bucket's name", name, max_bucket_bytes);
  const bool valid = !name.empty() && is_alphanumeric(name.front()) &&
                     std::all_of(name.begin(), name.end(),
                                 [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
  if (!valid) throw malformed(fmt::format("'{}' is no bucket name", escape_for_terminal(name)));
}

void check_key(const std::string& key) {
  if (key.empty()) throw malformed("the key is empty");
  check_length("the key", key, max_key_bytes);
}

/// Refuses what no store writes into a header or a name: spaces, control characters, bytes that are not ASCII, and ';',
/// which separates the parts of a landed object's order.
void check_word(const char* what, const std::string& text, std::size_t most) {
  check_length(what, text, most);
  const bool valid = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != ';'; });
  if (!valid) throw malformed(fmt::format("{} has characters that none has", what));
}

/// Refuses an event whose names cannot be asked for. Sizes and times are hints, which are compared with the object.
void check_event(const ObjectEvent& event) {
  check_bucket(event.bucket.str());
  check_key(event.key.str());
  check_word("the version", event.version_id.str(), max_version_bytes);
  check_word("the ETag", event.etag.str(), max_etag_bytes);
  check_word("the sequencer", event.sequencer, max_sequencer_bytes);
}

/// The version "null", which objects get while versioning is off, is overwritten by the next: its name tells nothing.
VersionId lasting_version(const std::string& name) { return VersionId(name == "null" ? "" : name); }

/// What an event name says of the key. `removed_version`: one version of it, or a delete marker, was removed for good.
enum class Change { none, created, deleted, removed_version };

Change change_of(std::string_view name, bool has_version) {
  if (name.starts_with("ObjectCreated")) return Change::created;
  if (name == "ObjectLifecycle:Expiration:Current") return Change::deleted;  // Ceph
  const bool by_rule = name.starts_with("LifecycleExpiration:");
  if (!by_rule && !name.starts_with("ObjectRemoved:")) return Change::none;
  if (!has_version || name.ends_with(":DeleteMarkerCreated")) return Change::deleted;
  // Lifecycle rules remove noncurrent versions, and delete markers with nothing below them.
  return by_rule ? Change::none : Change::removed_version;
}

/// Takes what `change` means into `event`, whose other members are set.
void apply(Change change, ObjectEvent& event) {
  event.deleted = change == Change::deleted;
  event.ask_source = change == Change::removed_version;
  if (!event.ask_source) return;
  event.size = 0;
  event.etag = ETag();
  event.version_id = VersionId();
}

/// Ceph's sequencer is the bytes of a time of its own, in hex: seconds and nanoseconds, each with the lowest byte first
/// on most machines. Compared as text that is no order, so they are turned round, unless only as they are they are near
/// the event's time.
std::string ceph_sequencer(const std::string& text, TimePoint event_time) {
  constexpr std::size_t word = 8;  // hex digits
  if (text.size() != 2 * word || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return {};
  std::string turned;
  for (const std::size_t first : {std::size_t{0}, word}) {
    for (std::size_t i = word; i > 0; i -= 2) turned += text.substr(first + i - 2, 2);
  }
  const auto is_near = [&](const std::string& sequencer) {
    const std::chrono::seconds seconds(std::stoul(sequencer.substr(0, word), nullptr, 16));
    return std::chrono::abs(seconds - event_time.time_since_epoch()) < std::chrono::days(1);
  };
  return is_near(text) && !is_near(turned) ? text : turned;
}

/// Returns a sequencer of S3 as it is compared, in upper case; empty for what is none: S3's are hexadecimal, and a text
/// that is not could stand above all of them for ever. Without a sequencer the times decide.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
std::string s3_sequencer(std::string text) {
  if (text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return {};
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::optional<ObjectEvent> parse_record(const Json& record) {
  if (!record.is_object()) throw malformed("a record is not an object");
  const std::string source = optional_text(record, "eventSource");
  if (!is_known_source(source)) throw malformed(fmt::format("eventSource is '{}'", escape_for_terminal(source)));
  const bool is_ceph = source == "ceph:s3";
  std::string name = text_member(record, "eventName");
  if (name.starts_with("s3:")) name.erase(0, 3);  // MinIO, and Ceph before 16
  if (change_of(name, false) == Change::none) return std::nullopt;
  const Json& s3 = object_member(record, "s3");
  const Json& object = object_member(s3, "object");
  ObjectEvent event;
  const std::string version = optional_text(object, "versionId");
  const Change change = change_of(name, !version.empty());
  if (change == Change::none) return std::nullopt;
  event.version_id = lasting_version(version);
  event.bucket = BucketName(text_member(object_member(s3, "bucket"), "name"));
  const std::string key = text_member(object, "key");
  event.key = ObjectKey(is_ceph ? key : form_decode(key));  // Ceph does not encode it
  event.size = size_of(object);
  event.etag = ETag(optional_text(object, "eTag"));
  const std::string time = optional_text(record, "eventTime");
  if (!time.empty()) event.time = parse_time(time);
  event.sequencer = optional_text(object, "sequencer");
  check_event(event);
  event.sequencer = is_ceph ? ceph_sequencer(event.sequencer, event.time) : s3_sequencer(event.sequencer);
  apply(change, event);
  return event;
}

/// An event as EventBridge passes it on: other names, and a key that is not encoded.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
std::optional<ObjectEvent> parse_bridged(const Json& document) {
  const std::string type = optional_text(document, "detail-type");
  const bool removed = type == "Object Deleted";
  if (!removed && type != "Object Created") return std::nullopt;
  const Json& detail = object_member(document, "detail");
  const Json& object = object_member(detail, "object");
  ObjectEvent event;
  const std::string version = optional_text(object, "version-id");
  const bool is_for_good = optional_text(detail, "deletion-type") == "Permanently Deleted";
  Change change = removed ? Change::deleted : Change::created;
  if (removed && is_for_good && !version.empty()) {
    if (optional_text(detail, "reason") == "Lifecycle Expiration") return std::nullopt;  // as in change_of()
    change = Change::removed_version;
  }
  event.version_id = lasting_version(version);
  event.bucket = BucketName(text_member(object_member(detail, "bucket"), "name"));
  event.key = ObjectKey(text_member(object, "key"));
  event.size = size_of(object);
  event.etag = ETag(optional_text(object, "etag"));
  event.sequencer = optional_text(object, "sequencer");
  const std::string time = optional_text(document, "time");
  if (!time.empty()) event.time = parse_time(time);
  check_event(event);
  event.sequencer = s3_sequencer(event.sequencer);
  apply(change, event);
  return event;
}

bool is_bridged(const Json& document) {
  return optional_text(document, "source") == "aws.s3" && document.contains("detail-type");
}

/// A message that came through an SNS topic without raw delivery: the text that was published is a string in it.
/// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
bool is_wrapped_by_sns(const Json& document) {
  return optional_text(document, "Type") == "Notification" && document.contains("TopicArn") &&
         document.contains("Message");
}

Json parse_object(std::string_view text) {
  Json document = parse_json<Json>(text);
  if (document.is_discarded()) throw malformed("it is not JSON, or nests too deep");
  if (!document.is_object()) throw malformed("it is not a JSON object");
  return document;
}

}  // namespace

Notification parse_notification(std::string_view body) {
  Json document = parse_object(body);
  if (is_wrapped_by_sns(document)) document = parse_object(text_member(document, "Message"));
  Notification notification;
  if (is_bridged(document)) {
    if (auto event = parse_bridged(document)) notification.events.push_back(std::move(*event));
    return notification;
  }
  if (is_test_event(document)) {
    notification.is_test = true;
    return notification;
  }
  const Json& records = member(document, "Records");
  if (!records.is_array()) throw malformed("'Records' is not an array");
  for (const Json& record : records) {
    if (auto event = parse_record(record)) notification.events.push_back(std::move(*event));
  }
  return notification;
}

std::string make_backfill_message(const std::vector<ObjectEvent>& events, const Region& region) {
  Json records = Json::array();
  for (const ObjectEvent& event : events) {
    Json object = {{"key", form_encode(event.key.str())}, {"size", event.size}, {"eTag", event.etag.str()}};
    if (!event.version_id.empty()) object["versionId"] = event.version_id.str();
    records.push_back({{"eventVersion", "2.1"},
                       {"eventSource", "aws:s3"},
                       {"awsRegion", region.str()},
                       {"eventTime", to_iso8601(event.time)},
                       {"eventName", "ObjectCreated:Backfill"},
                       {"s3",
                        {{"s3SchemaVersion", "1.0"},
                         {"configurationId", "bale-backfill"},
                         {"bucket", {{"name", event.bucket.str()}, {"arn", "arn:aws:s3:::" + event.bucket.str()}}},
                         {"object", object}}}});
  }
  return Json{{"Records", records}}.dump();
}

bool is_newer(const ObjectEvent& a, const ObjectEvent& b) {
  return SourceOrder{a.sequencer, a.time}.is_after(SourceOrder{b.sequencer, b.time});
}

}  // namespace bale::store
