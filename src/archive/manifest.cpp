#include "archive/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>
#include <utility>

#include "archive/json_elements.hpp"
#include "archive/layout.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
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
  // The published version of S3 Cross-Region Compressor joins source_prefix and object_name, its backup mode
  // source_prefix and relative_key: this way both get the key.
  put_bytes(json, "object_name", object.relative_key);
  put_bytes(json, "relative_key", object.relative_key);
  json["creation_time"] = to_timestamp(object.last_modified);
  json["etag"] = object.etag.str();
  json["size"] = object.size;
  json["storage_class"] = object.storage_class;
  json["tags"] = tags_json(object.tags);
  put_bytes(json, "key", object.key.str());
  put_bytes(json, "member", object.member);
  put_unless_empty(json, "content_member", object.content_member);
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
  if (object.mode) json["mode"] = fmt::format("{:04o}", *object.mode & 0777);
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
  /// A number of bytes or milliseconds: an integer from 0 to 2^63-1, which programs that compute with floating point
  /// write as 5.0.
  std::optional<std::uint64_t> number(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (const auto whole = whole_float(*value); whole && *whole >= 0) return static_cast<std::uint64_t>(*whole);
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most_number)
      throw wrong(path(name), "is not an integer from 0 to 2^63-1");
    return value->get<std::uint64_t>();
  }
  std::optional<std::int64_t> signed_number(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (const auto whole = whole_float(*value)) return whole;
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
  /// Absent where the value is no floating-point number, or none that is surely whole.
  static std::optional<std::int64_t> whole_float(const Json& value) {
    constexpr double end_of_exact = 9'007'199'254'740'992;  // 2^53
    if (!value.is_number_float()) return std::nullopt;
    const double number = value.get<double>();
    const bool is_whole = std::abs(number) <= end_of_exact && number == std::floor(number);
    return is_whole ? std::optional(static_cast<std::int64_t>(number)) : std::nullopt;
  }
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

/// Permission bits as octal digits. Others than 0777 are left out: a file belongs to whoever extracts it.
std::optional<std::uint32_t> parse_mode(const Fields& fields) {
  const std::string digits = fields.text("mode");
  if (digits.empty()) return std::nullopt;
  if (digits.size() > 5 || digits.find_first_not_of("01234567") != std::string::npos)
    throw wrong(fields.path("mode"), "is not a number of at most five octal digits");
  return static_cast<std::uint32_t>(std::stoul(digits, nullptr, 8)) & 0777U;
}

std::string without_trailing_slash(std::string prefix) {
  while (prefix.ends_with('/')) prefix.pop_back();
  return prefix;
}

void parse_names(const Fields& fields, ManifestObject& object) {
  object.source_bucket = BucketName(fields.text("source_bucket"));
  object.source_prefix = without_trailing_slash(fields.text("source_prefix"));
  object.relative_key = fields.required_text("relative_key");
  std::ignore = fields.text("object_name");  // follows from the relative key, whichever form the manifest has
  object.object_name = std::string(basename(object.relative_key));
  const std::string key =
      object.source_prefix.empty() ? object.relative_key : object.source_prefix + "/" + object.relative_key;
  object.key = ObjectKey(fields.text_or("key", key));
  object.member = fields.text_or("member", std::string(layout::member_prefix) + object.relative_key);
  object.content_member = fields.text("content_member");
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
  object.mode = parse_mode(fields);
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

// ---- Of the whole manifest

constexpr std::string_view known_members[] = {
    "backup",    "bucket",   "content_member", "created",       "creation_time", "current_since", "data_offset",
    "deletions", "etag",     "headers",        "key",           "kms_key_arn",   "last_modified", "level",
    "member",    "metadata", "mode",           "object_name",   "objects",       "region",        "relative_key",
    "sequencer", "sha256",   "size",           "source_bucket", "source_prefix", "source_region", "storage_class",
    "tags",      "targets",  "time",           "version",       "version_id"};
static_assert(std::is_sorted(std::begin(known_members), std::end(known_members)));

bool is_known(std::string_view name) {
  return std::binary_search(std::begin(known_members), std::end(known_members), name);
}

ByteCount memory_of(const Target& target) {
  return 2 * sizeof(Target) + target.region.str().size() + target.bucket.str().size() + target.kms_key_arn.size() +
         target.storage_class.size();
}

ByteCount memory_of(const Deletion& deletion) {
  return 2 * sizeof(Deletion) + deletion.source_bucket.str().size() + deletion.source_prefix.size() +
         deletion.key.str().size() + deletion.version_id.str().size() + deletion.sequencer.size();
}

/// Takes the elements of the manifest's lists as they are read.
class ElementsReading final : public JsonListVisitor {
 public:
  ElementsReading(Manifest& manifest, MemoryShare& memory) : manifest_(manifest), memory_(memory) {}

  bool is_list(std::string_view name) const override {
    return name == "objects" || name == "targets" || name == "deletions";
  }
  void element(std::string_view name, std::size_t index, const Json& value) override {
    if (name == "targets") {
      manifest_.targets.push_back(parse_target(value, index));
      memory_.add(memory_of(manifest_.targets.back()), "the targets of the manifest");
    } else if (name == "deletions") {
      manifest_.deletions.push_back(parse_deletion(value, index));
      memory_.add(memory_of(manifest_.deletions.back()), "the deletions of the manifest");
    } else {
      take_object(value, index);
    }
  }

  /// XXH64 of the member of each object.
  const std::vector<std::uint64_t>& member_hashes() const { return member_hashes_; }
  const std::string& object_region() const { return object_region_; }

 private:
  void take_object(const Json& value, std::size_t index) {
    const ManifestObject object = parse_object(value, index);
    if (object_region_.empty()) object_region_ = Fields(value, fmt::format("objects[{}]", index)).text("source_region");
    const ByteCount before = manifest_.objects.memory();
    manifest_.objects.push_back(object);
    // Besides, a hash of each, twice while they are sorted.
    memory_.add(manifest_.objects.memory() - before + 4 * sizeof(std::uint64_t), "the objects of the manifest");
    member_hashes_.push_back(xxh64(as_bytes(object.member)));
  }

  Manifest& manifest_;
  MemoryShare& memory_;
  std::vector<std::uint64_t> member_hashes_;
  std::string object_region_;
};

/// Calls `visit` with the indices of each group of objects that may have one member, ascending; groups of one are left
/// out.
template <typename Visit>
void for_each_group(const std::vector<std::uint64_t>& member_hashes, Visit visit) {
  std::vector<std::size_t> order(member_hashes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(member_hashes[a], a) < std::pair(member_hashes[b], b);
  });
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && member_hashes[order[end]] == member_hashes[order[begin]]) ++end;
    if (end - begin > 1) visit(std::vector<std::size_t>(order.begin() + begin, order.begin() + end));
  }
}

void check_members_differ(const ObjectList& objects, const std::vector<std::uint64_t>& member_hashes) {
  for_each_group(member_hashes, [&](const std::vector<std::size_t>& group) {
    std::vector<std::string> seen;
    for (const std::size_t i : group) {
      seen.push_back(objects[i].member);
      if (std::find(seen.begin(), seen.end() - 1, seen.back()) != seen.end() - 1)
        throw wrong(fmt::format("objects[{}].member", i), "is that of another object");
    }
  });
}

/// Keeps the newest of the objects with one member; of those of the same second the last, as tar does.
void keep_newest(ObjectList& objects, const std::vector<std::uint64_t>& member_hashes) {
  struct Member {
    std::string name;
    TimePoint modified;
    std::size_t newest, count;
  };
  std::vector<bool> is_kept(objects.size(), true);
  for_each_group(member_hashes, [&](const std::vector<std::size_t>& group) {
    std::vector<Member> members;
    for (const std::size_t i : group) {
      const ManifestObject object = objects[i];
      const auto member =
          std::find_if(members.begin(), members.end(), [&](const Member& each) { return each.name == object.member; });
      if (member == members.end()) {
        members.push_back({object.member, object.last_modified, i, 1});
        continue;
      }
      objects.set_place(i, object.data_offset, member->count++);
      const bool is_newest = object.last_modified >= member->modified;
      is_kept[is_newest ? member->newest : i] = false;
      if (!is_newest) continue;
      member->newest = i;
      member->modified = object.last_modified;
    }
  });
  objects.keep_only(is_kept);
}

}  // namespace

ManifestWriter::ManifestWriter(const Manifest& manifest) : source_region_(manifest.source_region) {
  OrderedJson head{{"version", manifest.version}, {"source_region", manifest.source_region.str()}};
  head["created"] = to_iso8601(manifest.created);
  head["level"] = manifest.level;
  OrderedJson& targets = head["targets"] = OrderedJson::array();
  for (const Target& target : manifest.targets) targets.push_back(target_json(target));
  text_ = dump(head);
  text_.back() = ',';
  text_ += "\"objects\":[";
}

void ManifestWriter::add(const ManifestObject& object) {
  // Appended as text, one a line: a tree of a million objects would take gigabytes.
  text_.append(has_objects_ ? ",\n" : "\n").append(dump(object_json(object, source_region_)));
  has_objects_ = true;
}

void ManifestWriter::add(const Deletion& deletion) {
  deletions_.append(deletions_.empty() ? ",\"deletions\":[" : ",").append(dump(deletion_json(deletion)));
}

std::string ManifestWriter::take() {
  text_.append("\n]").append(deletions_);
  if (!deletions_.empty()) text_ += ']';
  return std::move(text_ += "}\n");
}

std::string to_json(const Manifest& manifest) {
  ManifestWriter writer(manifest);
  for (const ManifestObject& object : manifest.objects) writer.add(object);
  for (const Deletion& deletion : manifest.deletions) writer.add(deletion);
  return writer.take();
}

Manifest parse_manifest(const std::function<std::string_view()>& next, MemoryShare& memory) {
  Manifest manifest;
  ElementsReading elements(manifest, memory);
  const Json root = read_json_lists(next, elements, is_known, "manifest.json");
  const Fields fields(root, {});
  const Json* const objects = fields.find("objects");
  if (objects == nullptr || !objects->is_array()) throw wrong("objects", "is missing or not a list");
  const auto version = fields.number("version").value_or(0);
  if (version > current_version) {
    throw Error(ErrorKind::unsupported, fmt::format("manifest version {} is newer than this program", version),
                "manifest.json", "read it with a newer bale");
  }
  manifest.version = static_cast<int>(version);
  manifest.source_region = Region(fields.text_or("source_region", elements.object_region()));
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
  for (const char* list : {"targets", "deletions"}) {
    if (const Json* value = fields.find(list); value != nullptr && !value->is_array())
      throw wrong(list, "is not a list");
  }
  if (manifest.version > 0)
    check_members_differ(manifest.objects, elements.member_hashes());
  else
    keep_newest(manifest.objects, elements.member_hashes());
  return manifest;
}

Manifest parse_manifest(std::string_view json) {
  MemoryShare memory;
  return parse_manifest([&] { return std::exchange(json, {}); }, memory);
}

}  // namespace bale::archive
