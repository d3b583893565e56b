#include "catalog/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "archive/json_elements.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::catalog {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view base64_suffix = "_base64";

Error wrong(const char* member, std::string_view what) {
  return Error(ErrorKind::corrupt, fmt::format("'{}' {}", member, what));
}

const Json* find(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string decoded(const std::string& member, const Json& base64) {
  if (!base64.is_string()) throw wrong(member.c_str(), "is not a string");
  try {
    return from_base64(base64.get_ref<const std::string&>());
  } catch (const Error&) {
    throw wrong(member.c_str(), "is not base64");
  }
}

std::string text(const Json& object, const char* member, bool required = false) {
  const std::string encoding = std::string(member) + std::string(base64_suffix);
  if (const Json* bytes = find(object, encoding.c_str())) return decoded(encoding, *bytes);
  const Json* value = find(object, member);
  if (value == nullptr) {
    if (required) throw wrong(member, "is missing");
    return {};
  }
  if (!value->is_string()) throw wrong(member, "is not a string");
  return value->get<std::string>();
}

std::optional<ByteCount> count(const Json& object, const char* member) {
  const Json* value = find(object, member);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<ByteCount>();
  // Programs that compute with floating point write 5 as 5.0.
  constexpr double end_of_exact = 9'007'199'254'740'992;  // 2^53
  const double number = value->is_number_float() ? value->get<double>() : -1;
  if (!(number >= 0 && number <= end_of_exact) || number != std::floor(number))
    throw wrong(member, "is not a number of bytes");
  return static_cast<ByteCount>(number);
}

// The year 10000: what is later is no time that a calendar of four digits can name.
constexpr std::int64_t end_of_time_s = 253'402'300'800;

/// A time as a number of seconds or milliseconds since 1970, below `end`.
std::optional<std::int64_t> whole_number(const Json& object, const char* member, std::int64_t end) {
  const Json* value = find(object, member);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) throw wrong(member, "is not a number");
  const double number = value->get<double>();  // the reference writes some of them with a fraction
  if (!(number >= 0 && number < static_cast<double>(end))) throw wrong(member, "is not a time");
  return value->is_number_integer() ? value->get<std::int64_t>() : static_cast<std::int64_t>(number);
}

std::map<std::string, std::string> text_map(const Json& object, const char* member) {
  std::map<std::string, std::string> map;
  const Json* value = find(object, member);
  if (value == nullptr) return map;
  if (!value->is_object()) throw wrong(member, "is not an object");
  for (const auto& [name, content] : value->items()) {
    if (!content.is_string()) throw wrong(member, "holds something that is not a string");
    map[name] = content.get<std::string>();
  }
  // A name of the user's own may end so too; the encoding of a value is recognised by what it stands for.
  for (auto& [name, content] : map) {
    const auto encoding = map.find(name + std::string(base64_suffix));
    const auto bytes = encoding == map.end() ? std::nullopt : bytes_behind(content, encoding->second);
    if (!bytes) continue;
    content = *bytes;
    map.erase(encoding);  // it stands behind `name`
  }
  return map;
}

/// JSON holds UTF-8 only: bytes that are not are shown as \xNN, and a second member with the bytes themselves is added.
void put_bytes(OrderedJson& line, const std::string& member, const std::string& value) {
  line[member] = is_utf8(value) ? value : escape_for_terminal(value);
  if (!is_utf8(value)) line[member + std::string(base64_suffix)] = to_base64(as_bytes(value));
}

void put_if(OrderedJson& line, const char* member, const std::string& value) {
  if (!value.empty()) put_bytes(line, member, value);
}

OrderedJson map_json(const std::map<std::string, std::string>& map) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : map) put_bytes(json, name, value);
  return json;
}

OrderedJson headers_json(const store::SystemHeaders& headers) {
  OrderedJson json = OrderedJson::object();
  put_if(json, "content_type", headers.content_type);
  put_if(json, "cache_control", headers.cache_control);
  put_if(json, "content_disposition", headers.content_disposition);
  put_if(json, "content_encoding", headers.content_encoding);
  put_if(json, "content_language", headers.content_language);
  put_if(json, "expires", headers.expires);
  put_if(json, "website_redirect", headers.website_redirect);
  return json;
}

store::SystemHeaders parse_headers(const Json& object) {
  store::SystemHeaders headers;
  const Json* value = find(object, "headers");
  if (value == nullptr) return headers;
  if (!value->is_object()) throw wrong("headers", "is not an object");
  headers.content_type = text(*value, "content_type");
  headers.cache_control = text(*value, "cache_control");
  headers.content_disposition = text(*value, "content_disposition");
  headers.content_encoding = text(*value, "content_encoding");
  headers.content_language = text(*value, "content_language");
  headers.expires = text(*value, "expires");
  headers.website_redirect = text(*value, "website_redirect");
  return headers;
}

/// The time in the first of the members that is there; 1970 where none is.
TimePoint parse_written_time(const Json& object, std::initializer_list<const char*> members) {
  for (const char* each : members) {
    const std::string written = text(object, each);
    if (written.empty()) continue;
    try {
      return parse_time(written);
    } catch (const Error&) {
      throw wrong(each, "is not a time");
    }
  }
  return {};
}

/// last_modified in milliseconds, or the reference's creation_time to the second, or its day alone.
TimePoint parse_modified(const Json& object) {
  if (const auto ms = whole_number(object, "last_modified", end_of_time_s * 1000)) return from_epoch_ms(*ms);
  return parse_written_time(object, {"creation_time", "creation_date"});
}

/// backup_timestamp in seconds, or the day alone.
TimePoint parse_backup_time(const Json& object) {
  if (const auto seconds = whole_number(object, "backup_timestamp", end_of_time_s))
    return from_epoch_ms(*seconds * 1000);
  return parse_written_time(object, {"backup_date"});
}

std::vector<BucketName> parse_buckets(const Json& object) {
  std::vector<BucketName> buckets;
  const Json* value = find(object, "target_buckets");
  if (value == nullptr) return buckets;
  if (!value->is_array()) throw wrong("target_buckets", "is not an array");
  for (const Json& bucket : *value) {
    if (!bucket.is_string()) throw wrong("target_buckets", "holds something that is not a string");
    buckets.emplace_back(bucket.get<std::string>());
  }
  return buckets;
}

std::optional<archive::MemberLocation> parse_location(const Json& object) {
  const auto offset = count(object, "frame_offset"), length = count(object, "frame_length"),
             skip = count(object, "frame_skip");
  if (!offset && !length && !skip) return std::nullopt;
  if (!offset || !length || !skip) throw wrong("frame_offset", "needs frame_length and frame_skip");
  return archive::MemberLocation{*offset, *length, *skip};
}

constexpr std::string_view known_members[] = {
    "archive_bucket", "archive_etag",  "archive_key",   "backup_date",   "backup_file", "backup_timestamp",
    "creation_date",  "creation_time", "current_since", "etag",          "event",       "frame_length",
    "frame_offset",   "frame_skip",    "headers",       "last_modified", "metadata",    "object_name",
    "object_path",    "object_size",   "row",           "rows",          "sequencer",   "sha256",
    "source_bucket",  "source_prefix", "source_region", "storage_class", "tags",        "target_buckets",
    "version_id"};
static_assert(std::is_sorted(std::begin(known_members), std::end(known_members)));

bool is_known(std::string_view name) {
  return std::binary_search(std::begin(known_members), std::end(known_members), name);
}

Record object_record(Record record, const archive::ManifestObject& object) {
  record.source_bucket = object.source_bucket;
  record.source_prefix = object.source_prefix;
  record.object_name = object.object_name;
  record.object_path = object.key;
  record.object_size = object.size;
  record.last_modified = object.last_modified;
  record.current_since = object.current_since;
  record.version_id = object.version_id;
  record.sequencer = object.sequencer;
  record.etag = object.etag;
  record.sha256 = object.sha256;
  record.storage_class = object.storage_class;
  record.headers = object.headers;
  record.metadata = object.metadata;
  record.tags = object.tags;
  return record;
}

Record deletion_record(Record record, const archive::Deletion& deletion) {
  record.deleted = true;
  record.source_bucket = deletion.source_bucket;
  record.source_prefix = deletion.source_prefix;
  record.object_name = basename(deletion.key.str());
  record.object_path = deletion.key;
  record.last_modified = deletion.time;
  record.version_id = deletion.version_id;
  record.sequencer = deletion.sequencer;
  return record;
}

auto tied(const Record& r) {
  return std::tie(r.backup_file, r.backup_time, r.source_bucket, r.source_prefix, r.object_name, r.object_path,
                  r.object_size, r.last_modified, r.current_since, r.target_buckets, r.source_region, r.archive_bucket,
                  r.archive_key, r.archive_etag, r.deleted, r.version_id, r.sequencer, r.etag, r.sha256,
                  r.storage_class, r.headers, r.metadata, r.tags);
}

}  // namespace

bool operator==(const Record& a, const Record& b) {
  const auto place = [](const Record& r) {
    const archive::MemberLocation l = r.location.value_or(archive::MemberLocation{});
    return std::tuple(r.location.has_value(), l.frame_offset, l.frame_length, l.frame_skip);
  };
  return tied(a) == tied(b) && place(a) == place(b);
}

std::string to_json_line(const Record& record) {
  OrderedJson line = {{"backup_file", record.backup_file},
                      {"backup_timestamp", to_epoch_ms(record.backup_time) / 1000},
                      {"backup_date", to_date(record.backup_time)},
                      {"source_bucket", record.source_bucket.str()}};
  put_bytes(line, "source_prefix", record.source_prefix);
  put_bytes(line, "object_name", record.object_name);
  put_bytes(line, "object_path", record.object_path.str());
  line["object_size"] = record.object_size ? OrderedJson(*record.object_size) : OrderedJson();
  line["creation_time"] = to_timestamp(record.last_modified);
  line["creation_date"] = to_date(record.last_modified);
  line["target_buckets"] = OrderedJson::array();
  for (const BucketName& bucket : record.target_buckets) line["target_buckets"].push_back(bucket.str());
  line["source_region"] = record.source_region.str();
  line["archive_bucket"] = record.archive_bucket.str();
  put_bytes(line, "archive_key", record.archive_key.str());
  put_if(line, "archive_etag", record.archive_etag.str());
  line["event"] = record.deleted ? "delete" : "put";
  put_if(line, "version_id", record.version_id.str());
  put_if(line, "sequencer", record.sequencer);
  put_if(line, "etag", record.etag.str());
  put_if(line, "sha256", record.sha256);
  put_if(line, "storage_class", record.storage_class);
  line["last_modified"] = to_epoch_ms(record.last_modified);
  if (record.current_since) line["current_since"] = to_epoch_ms(*record.current_since);
  if (const OrderedJson headers = headers_json(record.headers); !headers.empty()) line["headers"] = headers;
  if (!record.metadata.empty()) line["metadata"] = map_json(record.metadata);
  if (!record.tags.empty()) line["tags"] = map_json(record.tags);
  if (record.location) {
    line["frame_offset"] = record.location->frame_offset;
    line["frame_length"] = record.location->frame_length;
    line["frame_skip"] = record.location->frame_skip;
  }
  return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Record parse_json_line(std::string_view line) { return parse_row(line).record; }

Row parse_row(std::string_view json) {
  Json line;
  try {
    line = archive::read_json_element(json, is_known);
  } catch (const Error& error) {
    throw error.with_summary("the line is not a JSON object that can be read: " + error.summary());
  }
  if (!line.is_object()) throw Error(ErrorKind::corrupt, "the line is not a JSON object");
  Row row;
  Record& record = row.record;
  record.backup_file = text(line, "backup_file", true);
  record.backup_time = parse_backup_time(line);
  record.source_bucket = BucketName(text(line, "source_bucket", true));
  record.source_prefix = text(line, "source_prefix");
  record.object_name = text(line, "object_name");
  record.object_path = ObjectKey(text(line, "object_path", true));
  record.object_size = count(line, "object_size");
  record.last_modified = parse_modified(line);
  if (const auto ms = whole_number(line, "current_since", end_of_time_s * 1000))
    record.current_since = from_epoch_ms(*ms);
  record.target_buckets = parse_buckets(line);
  record.source_region = Region(text(line, "source_region"));
  record.archive_bucket = BucketName(text(line, "archive_bucket"));
  record.archive_key = ObjectKey(text(line, "archive_key"));
  record.archive_etag = ETag(text(line, "archive_etag"));
  const std::string event = text(line, "event");
  if (!event.empty() && event != "put" && event != "delete") throw wrong("event", "is neither put nor delete");
  record.deleted = event == "delete";
  record.version_id = VersionId(text(line, "version_id"));
  record.sequencer = text(line, "sequencer");
  record.etag = ETag(text(line, "etag"));
  record.sha256 = text(line, "sha256");
  record.storage_class = text(line, "storage_class");
  record.headers = parse_headers(line);
  record.metadata = text_map(line, "metadata");
  record.tags = text_map(line, "tags");
  record.location = parse_location(line);
  const auto number = count(line, "row"), rows = count(line, "rows");
  if (number || rows) row.place = RowPlace{number.value_or(0), rows.value_or(0)};
  return row;
}

namespace {

std::string dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

/// The JSON of a column, as a member of an object: so that it is read as a line's member is.
Json as_member(const char* member, std::string_view json) {
  Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) throw wrong(member, "is not JSON");
  return Json{{member, std::move(value)}};
}

}  // namespace

std::string headers_to_json(const store::SystemHeaders& headers) {
  const OrderedJson json = headers_json(headers);
  return json.empty() ? std::string() : dump(json);
}

store::SystemHeaders headers_from_json(std::string_view json) {
  return json.empty() ? store::SystemHeaders{} : parse_headers(as_member("headers", json));
}

std::string map_to_json(const std::map<std::string, std::string>& map) {
  return map.empty() ? std::string() : dump(map_json(map));
}

std::map<std::string, std::string> map_from_json(std::string_view json) {
  return json.empty() ? std::map<std::string, std::string>{} : text_map(as_member("map", json), "map");
}

std::string buckets_to_json(const std::vector<BucketName>& buckets) {
  OrderedJson json = OrderedJson::array();
  for (const BucketName& bucket : buckets) json.push_back(bucket.str());
  return dump(json);
}

std::vector<BucketName> buckets_from_json(std::string_view json) {
  return parse_buckets(as_member("target_buckets", json));
}

ObjectKey catalog_key(const BucketName& source_bucket, std::string_view source_prefix, TimePoint backup_time,
                      std::string_view backup_file) {
  const std::string date = to_date(backup_time);  // YYYY-MM-DD
  return ObjectKey(fmt::format("{}/{}{}year={}/month={}/day={}/{}.jsonl", source_bucket.str(), source_prefix,
                               source_prefix.empty() ? "" : "/", date.substr(0, 4), date.substr(5, 2),
                               date.substr(8, 2), backup_file));
}

std::vector<ObjectAddress> archive_places(const Record& record) {
  std::vector<BucketName> buckets = record.target_buckets;
  std::erase(buckets, record.archive_bucket);
  if (!record.archive_bucket.empty()) buckets.insert(buckets.begin(), record.archive_bucket);
  std::vector<std::string> keys{record.archive_key.str()};
  if (record.archive_key.empty()) {
    const std::string name = record.source_prefix + (record.source_prefix.empty() ? "" : "/") + record.backup_file;
    keys = {name, record.source_bucket.str() + "/" + name};
  }
  std::vector<ObjectAddress> places;
  for (const std::string& key : keys) {
    for (const BucketName& bucket : buckets) places.push_back({bucket, ObjectKey(key)});
  }
  return places;
}

ArchiveRecords::ArchiveRecords(const archive::Reader& archive, TimePoint stored, const ObjectKey& archive_key,
                               const std::vector<BucketName>& buckets)
    : archive_(archive) {
  const archive::Manifest& manifest = archive.manifest();
  common_.backup_file = basename(archive_key.str());
  common_.backup_time = std::chrono::floor<std::chrono::seconds>(manifest.version > 0 ? manifest.created : stored);
  common_.source_region = manifest.source_region;
  common_.target_buckets = buckets;
  common_.archive_bucket = buckets.front();
  common_.archive_key = archive_key;
}

std::size_t ArchiveRecords::size() const noexcept {
  return archive_.manifest().objects.size() + archive_.manifest().deletions.size();
}

Record ArchiveRecords::operator[](std::size_t i) const {
  const archive::Manifest& manifest = archive_.manifest();
  if (i >= manifest.objects.size()) return deletion_record(common_, manifest.deletions[i - manifest.objects.size()]);
  Record record = object_record(common_, manifest.objects[i]);
  if (archive_.random_access()) record.location = archive_.locate(i);
  return record;
}

std::vector<Record> make_records(const archive::Reader& archive, TimePoint stored, const ObjectKey& archive_key,
                                 const std::vector<BucketName>& buckets) {
  const ArchiveRecords each(archive, stored, archive_key, buckets);
  std::vector<Record> records;
  records.reserve(each.size());
  for (std::size_t i = 0; i < each.size(); ++i) records.push_back(each[i]);
  return records;
}

}  // namespace bale::catalog
