#include "store/events.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
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

std::optional<ObjectEvent> parse_record(const Json& record) {
  if (!record.is_object()) throw malformed("a record is not an object");
  if (optional_text(record, "eventSource") != "aws:s3") {
    throw malformed(fmt::format("eventSource is '{}'", escape_for_terminal(optional_text(record, "eventSource"))));
  }
  const std::string name = text_member(record, "eventName");
  const bool created = name.starts_with("ObjectCreated");
  const bool removed = name.starts_with("ObjectRemoved") || name.starts_with("LifecycleExpiration");
  if (!created && !removed) return std::nullopt;
  const Json& s3 = object_member(record, "s3");
  const Json& object = object_member(s3, "object");
  ObjectEvent event;
  event.bucket = BucketName(text_member(object_member(s3, "bucket"), "name"));
  event.key = ObjectKey(form_decode(text_member(object, "key")));
  if (event.key.empty()) throw malformed("the key is empty");
  event.deleted = removed;
  const auto size = object.find("size");
  if (size != object.end() && size->is_number_unsigned()) event.size = size->get<ByteCount>();
  event.etag = ETag(optional_text(object, "eTag"));
  event.version_id = VersionId(optional_text(object, "versionId"));
  event.sequencer = optional_text(object, "sequencer");
  const std::string time = optional_text(record, "eventTime");
  if (!time.empty()) event.time = parse_time(time);
  return event;
}

}  // namespace

Notification parse_notification(std::string_view body) {
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw malformed("it is not JSON");
  if (!document.is_object()) throw malformed("it is not a JSON object");
  Notification notification;
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
