#include "archive/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "archive/layout.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int current_version = 1;

/// System headers by their names in the manifest.
constexpr std::pair<const char*, std::string store::SystemHeaders::*> header_fields[] = {
    {"content_type", &store::SystemHeaders::content_type},
    {"cache_control", &store::SystemHeaders::cache_control},
    {"content_disposition", &store::SystemHeaders::content_disposition},
    {"content_encoding", &store::SystemHeaders::content_encoding},
    {"content_language", &store::SystemHeaders::content_language},
    {"expires", &store::SystemHeaders::expires},
    {"website_redirect", &store::SystemHeaders::website_redirect},
};

// ---- Writing

/// JSON holds UTF-8 only: bytes that are not are shown as \xNN, and a second member with the bytes themselves is added.
void put_bytes(OrderedJson& json, const char* name, const std::string& value) {
  if (is_utf8(value)) {
    json[name] = value;
    return;
  }
  json[name] = escape_for_terminal(value);
  json[std::string(name) + "_base64"] = to_base64(as_bytes(value));
}

void put_unless_empty(OrderedJson& json, const char* name, const std::string& value) {
  if (!value.empty()) put_bytes(json, name, value);
}

OrderedJson target_json(const Target& target) {
  OrderedJson json{{"region", target.region.str()}, {"bucket", target.bucket.str()}};
  put_unless_empty(json, "kms_key_arn", target.kms_key_arn);
  put_unless_empty(json, "storage_class", target.storage_class);
  if (target.backup) json["backup"] = true;
  return json;
}

OrderedJson tags_json(const store::Tags& tags) {
  OrderedJson json = OrderedJson::array();
  for (const auto& [key, value] : tags) json.push_back({{key, value}});
  return json;
}

OrderedJson object_json(const ManifestObject& object, const Region& source_region) {
  OrderedJson json{{"source_bucket", object.source_bucket.str()}, {"source_region", source_region.str()}};
  put_bytes(json, "source_prefix", object.source_prefix);
  put_bytes(json, "object_name", object.object_name);
  put_bytes(json, "relative_key", object.relative_key);
  json["creation_time"] = to_timestamp(object.last_modified);
  json["etag"] = object.etag.str();
  json["size"] = object.size;
  json["storage_class"] = object.storage_class;
  json["tags"] = tags_json(object.tags);
  put_bytes(json, "key", object.key.str());
  put_bytes(json, "member", object.member);
  json["last_modified"] = to_epoch_ms(object.last_modified);
  if (object.current_since) json["current_since"] = to_epoch_ms(*object.current_since);
  put_unless_empty(json, "version_id", object.version_id.str());
  put_unless_empty(json, "sequencer", object.sequencer);
  OrderedJson headers = OrderedJson::object();
  for (const auto& [name, field] : header_fields) put_unless_empty(headers, name, object.headers.*field);
  if (!headers.empty()) json["headers"] = std::move(headers);
  if (!object.metadata.empty()) {
    OrderedJson& metadata = json["metadata"] = OrderedJson::object();
    for (const auto& [name, value] : object.metadata) put_bytes(metadata, name.c_str(), value);
  }
  put_unless_empty(json, "sha256", object.sha256);
  if (object.data_offset) json["data_offset"] = *object.data_offset;
  return json;
}

OrderedJson deletion_json(const Deletion& deletion) {
  OrderedJson json{{"source_bucket", deletion.source_bucket.str()}};
  put_bytes(json, "source_prefix", deletion.source_prefix);
  put_bytes(json, "key", deletion.key.str());
  put_unless_empty(json, "version_id", deletion.version_id.str());
  put_unless_empty(json, "sequencer", deletion.sequencer);
  json["time"] = to_epoch_ms(deletion.time);
  return json;
}

std::string dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

// ---- Reading

Error wrong(const std::string& where, std::string_view what) {
  return Error(ErrorKind::corrupt, fmt::format("{} {}", where, what), "manifest.json");
}

/// One JSON object of the manifest, read member by member; errors name the member.
class Fields {
 public:
  Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) throw wrong(where_, "is not an object");
  }

  const Json* find(const char* name) const {
    const auto found = json_.find(name);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string text(const char* name) const {
    if (const Json* bytes = find((std::string(name) + "_base64").c_str()); bytes != nullptr && bytes->is_string())
      return decoded(name, bytes->get_ref<const std::string&>());
    const Json* value = find(name);
    if (value == nullptr) return {};
    if (!value->is_string()) throw wrong(path(name), "is not a string");
    return value->get_ref<const std::string&>();
  }
  std::string text_or(const char* name, std::string fallback) const {
    std::string value = text(name);
    return value.empty() ? std::move(fallback) : value;
  }
  std::string required_text(const char* name) const {
    if (find(name) == nullptr) throw wrong(path(name), "is missing");
    return text(name);
  }
  /// A number of bytes or milliseconds: an integer from 0 to 2^63-1.
  std::optional<std::uint64_t> number(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most_number)
      throw wrong(path(name), "is not an integer from 0 to 2^63-1");
    return value->get<std::uint64_t>();
  }
  std::optional<std::int64_t> signed_number(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<std::uint64_t>() > most_number))
      throw wrong(path(name), "is not a 64-bit integer");
    return value->get<std::int64_t>();
  }
  bool flag(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) throw wrong(path(name), "is not true or false");
    return value->get<bool>();
  }
  std::string path(std::string_view name) const {
    return where_.empty() ? std::string(name) : fmt::format("{}.{}", where_, name);
  }

 private:
  static constexpr std::uint64_t most_number = std::numeric_limits<std::int64_t>::max();
  std::string decoded(const char* name, const std::string& base64) const {
    try {
      return from_base64(base64);
    } catch (const Error&) {
      throw wrong(path(std::string(name) + "_base64"), "is not base64");
    }
  }
  const Json& json_;
  std::string where_;
};

Target parse_target(const Json& json, std::size_t index) {
  const Fields fields(json, fmt::format("targets[{}]", index));
  return {Region(fields.required_text("region")), BucketName(fields.required_text("bucket")),
          fields.text("kms_key_arn"), fields.text("storage_class"), fields.flag("backup")};
}

/// Names and values that the user chose: a name of theirs may end in "_base64" too, so that the encoding of a value is
/// recognised by what it stands for.
store::Tags text_map(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  store::Tags map;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string() && !value.is_null()) throw wrong(fields.path(name), "is not a string");
    map.emplace(name, value.is_null() ? std::string() : value.get<std::string>());
  }
  for (auto& [name, value] : map) {
    const auto encoding = map.find(name + "_base64");
    const auto bytes = encoding == map.end() ? std::nullopt : bytes_behind(value, encoding->second);
    if (!bytes) continue;
    value = *bytes;
    map.erase(encoding);  // it stands behind `name`
  }
  return map;
}

/// One element of a list of tags: {"key": K, "value": V}, {"Key": K, "Value": V}, or {K: V, ...}.
void add_tags(const Json& json, const std::string& where, store::Tags& tags) {
  const Fields fields(json, where);
  for (const auto& [key, value] : {std::pair{"key", "value"}, std::pair{"Key", "Value"}}) {
    if (json.size() == 2 && json.contains(key) && json.contains(value)) {
      tags.insert_or_assign(fields.text(key), fields.text(value));
      return;
    }
  }
  tags.merge(text_map(json, where));
}

store::Tags parse_tags(const Json* json, const std::string& where) {
  store::Tags tags;
  if (json == nullptr) return tags;
  if (json->is_object()) return text_map(*json, where);
  if (!json->is_array()) throw wrong(where, "is neither a list nor an object");
  for (std::size_t i = 0; i < json->size(); ++i) add_tags((*json)[i], fmt::format("{}[{}]", where, i), tags);
  return tags;
}

TimePoint parse_modified(const Fields& fields) {
  if (const auto ms = fields.signed_number("last_modified")) return from_epoch_ms(*ms);
  const std::string created = fields.text("creation_time");
  if (created.empty()) return {};
  try {
    return parse_time(created);
  } catch (const Error&) {
    throw wrong(fields.path("creation_time"), "is not a time");
  }
}

std::string parse_sha256(const Fields& fields) {
  std::string hex = fields.text("sha256");
  const bool valid = hex.size() == 64 && hex.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex.empty() && !valid) throw wrong(fields.path("sha256"), "is not 64 lower-case hexadecimal digits");
  return hex;
}

std::string without_trailing_slash(std::string prefix) {
  while (prefix.ends_with('/')) prefix.pop_back();
  return prefix;
}

void parse_names(const Fields& fields, ManifestObject& object) {
  object.source_bucket = BucketName(fields.text("source_bucket"));
  object.source_prefix = without_trailing_slash(fields.text("source_prefix"));
  object.relative_key = fields.required_text("relative_key");
  object.object_name = fields.text_or("object_name", std::string(basename(object.relative_key)));
  const std::string key =
      object.source_prefix.empty() ? object.relative_key : object.source_prefix + "/" + object.relative_key;
  object.key = ObjectKey(fields.text_or("key", key));
  object.member = fields.text_or("member", std::string(layout::member_prefix) + object.relative_key);
}

ManifestObject parse_object(const Json& json, std::size_t index) {
  const Fields fields(json, fmt::format("objects[{}]", index));
  ManifestObject object;
  parse_names(fields, object);
  const auto size = fields.number("size");
  if (!size) throw wrong(fields.path("size"), "is missing");
  object.size = *size;
  object.last_modified = parse_modified(fields);
  if (const auto ms = fields.signed_number("current_since")) object.current_since = from_epoch_ms(*ms);
  object.etag = ETag(fields.text("etag"));
  object.storage_class = fields.text_or("storage_class", "STANDARD");
  object.tags = parse_tags(fields.find("tags"), fields.path("tags"));
  object.version_id = VersionId(fields.text("version_id"));
  object.sequencer = fields.text("sequencer");
  if (const Json* headers = fields.find("headers")) {
    const Fields header(*headers, fields.path("headers"));
    for (const auto& [name, field] : header_fields) object.headers.*field = header.text(name);
  }
  if (const Json* metadata = fields.find("metadata")) object.metadata = text_map(*metadata, fields.path("metadata"));
  object.sha256 = parse_sha256(fields);
  object.data_offset = fields.number("data_offset");
  if (object.data_offset && object.size > std::numeric_limits<std::int64_t>::max() - *object.data_offset)
    throw wrong(fields.path("data_offset"), "and size exceed 2^63");
  return object;
}

Deletion parse_deletion(const Json& json, std::size_t index) {
  const Fields fields(json, fmt::format("deletions[{}]", index));
  const auto time = fields.signed_number("time");
  if (!time) throw wrong(fields.path("time"), "is missing");
  return {BucketName(fields.text("source_bucket")),
          without_trailing_slash(fields.text("source_prefix")),
          ObjectKey(fields.required_text("key")),
          VersionId(fields.text("version_id")),
          fields.text("sequencer"),
          from_epoch_ms(*time)};
}

/// Parses the text, turning each element of "objects" into a ManifestObject as soon as it is complete, so that the JSON
/// of one object at a time is held, not that of all.
Json parse_streaming(std::string_view text, std::vector<ManifestObject>& objects, std::string& object_region) {
  std::string section;
  const auto keep = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1) section = parsed.get_ref<const std::string&>();
    if (event != Json::parse_event_t::object_end || depth != 2 || section != "objects") return true;
    objects.push_back(parse_object(parsed, objects.size()));
    if (object_region.empty())
      object_region = Fields(parsed, fmt::format("objects[{}]", objects.size() - 1)).text("source_region");
    return false;
  };
  try {
    return Json::parse(text, keep);
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::corrupt, fmt::format("not valid JSON: {}", error.what()), "manifest.json");
  }
}

void check_members_differ(const std::vector<ManifestObject>& objects) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!seen.insert(objects[i].member).second)
      throw wrong(fmt::format("objects[{}].member", i), "is that of another object");
  }
}

/// Keeps the newest of the objects with one member; of those of the same second the last, as tar does.
void keep_newest(std::vector<ManifestObject>& objects) {
  struct Member {
    std::size_t newest, count = 0;
  };
  std::unordered_map<std::string_view, Member> members;
  members.reserve(objects.size());
  std::vector<bool> is_kept(objects.size(), true);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto [place, is_first] = members.try_emplace(objects[i].member, Member{i});
    Member& member = place->second;
    objects[i].members_before = member.count++;
    if (is_first) continue;
    const bool is_newest = objects[i].last_modified >= objects[member.newest].last_modified;
    is_kept[is_newest ? member.newest : i] = false;
    if (is_newest) member.newest = i;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (is_kept[i] && kept++ != i) objects[kept - 1] = std::move(objects[i]);
  }
  objects.resize(kept);
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  OrderedJson head{{"version", manifest.version}, {"source_region", manifest.source_region.str()}};
  head["created"] = to_iso8601(manifest.created);
  head["level"] = manifest.level;
  OrderedJson& targets = head["targets"] = OrderedJson::array();
  for (const Target& target : manifest.targets) targets.push_back(target_json(target));
  // Objects are appended as text, one a line: a tree of a million of them would take gigabytes.
  std::string text = dump(head);
  text.back() = ',';
  text += "\"objects\":[";
  std::string_view separator = "\n";
  for (const ManifestObject& object : manifest.objects) {
    text.append(separator).append(dump(object_json(object, manifest.source_region)));
    separator = ",\n";
  }
  text += "\n]";
  if (!manifest.deletions.empty()) {
    OrderedJson deletions = OrderedJson::array();
    for (const Deletion& deletion : manifest.deletions) deletions.push_back(deletion_json(deletion));
    text += ",\"deletions\":" + dump(deletions);
  }
  return text += "}\n";
}

Manifest parse_manifest(std::string_view json) {
  Manifest manifest;
  std::string object_region;
  const Json root = parse_streaming(json, manifest.objects, object_region);
  const Fields fields(root, {});
  const Json* const objects = fields.find("objects");
  if (objects == nullptr || !objects->is_array()) throw wrong("objects", "is missing or not a list");
  if (!objects->empty()) throw wrong("objects", "has an element that is not an object");
  const auto version = fields.number("version").value_or(0);
  if (version > current_version) {
    throw Error(ErrorKind::unsupported, fmt::format("manifest version {} is newer than this program", version),
                "manifest.json", "read it with a newer bale");
  }
  manifest.version = static_cast<int>(version);
  manifest.source_region = Region(fields.text_or("source_region", object_region));
  const auto level = fields.signed_number("level").value_or(0);
  if (level < -1000 || level > 1000) throw wrong("level", "is not a compression level");
  manifest.level = static_cast<int>(level);
  if (const std::string created = fields.text("created"); !created.empty()) {
    try {
      manifest.created = parse_time(created);
    } catch (const Error&) {
      throw wrong("created", "is not a time");
    }
  }
  if (const Json* targets = fields.find("targets")) {
    if (!targets->is_array()) throw wrong("targets", "is not a list");
    for (const Json& target : *targets) manifest.targets.push_back(parse_target(target, manifest.targets.size()));
  }
  if (const Json* deletions = fields.find("deletions")) {
    if (!deletions->is_array()) throw wrong("deletions", "is not a list");
    for (const Json& deletion : *deletions)
      manifest.deletions.push_back(parse_deletion(deletion, manifest.deletions.size()));
  }
  if (manifest.version > 0)
    check_members_differ(manifest.objects);
  else
    keep_newest(manifest.objects);
  return manifest;
}

}  // namespace bale::archive
