#include "jobs/bucket/inventory.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

Error wrong(std::string what) { return Error(ErrorKind::invalid, std::move(what)); }

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

ByteCount size_of(std::string_view text) {
  ByteCount size = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    throw wrong(fmt::format("'{}' is no size", escape_name(text)));
  return size;
}

std::string without_quotes(std::string etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

void check_key(const std::string& key) {
  if (key.empty() || key.size() > store::max_key_bytes) throw wrong("a key is empty or too long");
}

std::string text_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

InventoryColumns parse_inventory_schema(std::string_view schema) {
  InventoryColumns columns;
  const std::pair<std::string_view, int*> names[] = {{"bucket", &columns.bucket},
                                                     {"key", &columns.key},
                                                     {"size", &columns.size},
                                                     {"etag", &columns.etag},
                                                     {"lastmodifieddate", &columns.last_modified},
                                                     {"lastmodified", &columns.last_modified},
                                                     {"storageclass", &columns.storage_class},
                                                     {"islatest", &columns.is_latest},
                                                     {"isdeletemarker", &columns.is_delete_marker}};
  int index = 0;
  for (const std::string_view field : split(schema, ',')) {
    const std::string name = to_lower(trimmed(field));
    for (const auto& [known, column] : names)
      if (known == name) *column = index;
    ++index;
  }
  if (columns.key < 0 || columns.size < 0)
    throw wrong(fmt::format("the columns '{}' name no Key or no Size", escape_name(schema)));
  return columns;
}

std::vector<std::string> parse_csv_line(std::string_view line) {
  std::vector<std::string> fields(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (is_quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == ',' && !is_quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (is_quoted) throw wrong("a quote is not closed");
  return fields;
}

std::optional<store::ListedObject> parse_inventory_line(std::string_view line, const InventoryColumns& columns,
                                                        const BucketName& bucket) {
  const std::vector<std::string> fields = parse_csv_line(line);
  const auto field = [&](int column) -> std::string {
    if (column < 0) return {};
    if (static_cast<std::size_t>(column) >= fields.size()) throw wrong("the line has too few fields");
    return fields[static_cast<std::size_t>(column)];
  };
  if (to_lower(field(columns.is_latest)) == "false" || to_lower(field(columns.is_delete_marker)) == "true")
    return std::nullopt;
  if (columns.bucket >= 0 && field(columns.bucket) != bucket.str()) return std::nullopt;
  store::ListedObject object;
  object.key = ObjectKey(form_decode(field(columns.key)));
  check_key(object.key.str());
  object.size = size_of(field(columns.size));
  object.etag = ETag(without_quotes(field(columns.etag)));
  const std::string modified = field(columns.last_modified), storage_class = field(columns.storage_class);
  if (!modified.empty()) object.last_modified = parse_time(modified);
  if (!storage_class.empty()) object.storage_class = storage_class;
  return object;
}

std::optional<store::ListedObject> parse_json_object(std::string_view text) {
  const auto line = parse_json(text);
  if (!line.is_object()) throw wrong("the line is not a JSON object");
  const std::string type = text_of(line, "type");
  if (!type.empty() && type != "object") return std::nullopt;
  store::ListedObject object;
  std::string key = text_of(line, "key");
  if (const std::string base64 = text_of(line, "key_base64"); !base64.empty())
    if (auto bytes = bytes_behind(key, base64)) key = std::move(*bytes);
  check_key(key);
  object.key = ObjectKey(std::move(key));
  const auto size = line.find("size");
  if (size == line.end() || !size->is_number_unsigned()) throw wrong("the line has no size");
  object.size = size->get<ByteCount>();
  object.etag = ETag(without_quotes(text_of(line, "etag")));
  const std::string modified = text_of(line, "last_modified"), storage_class = text_of(line, "storage_class");
  if (!modified.empty()) object.last_modified = parse_time(modified);
  if (!storage_class.empty()) object.storage_class = storage_class;
  return object;
}

InventoryManifest parse_inventory_manifest(std::string_view text) {
  const auto json = parse_json(text);
  if (!json.is_object()) throw wrong("the manifest is not a JSON object");
  if (text_of(json, "fileFormat") != "CSV") {
    throw wrong("the inventory is not CSV").with_hint("configure the inventory with the format CSV");
  }
  InventoryManifest manifest{text_of(json, "sourceBucket"), text_of(json, "fileSchema"), {}};
  const auto files = json.find("files");
  if (files == json.end() || !files->is_array()) throw wrong("the manifest names no files");
  for (const auto& each : *files) {
    if (!each.is_object() || text_of(each, "key").empty()) throw wrong("a file of the manifest has no key");
    const auto size = each.find("size");
    const bool has_size = size != each.end() && size->is_number_unsigned();
    manifest.files.push_back(
        {text_of(each, "key"), has_size ? size->get<ByteCount>() : 0, text_of(each, "MD5checksum")});
  }
  return manifest;
}

std::optional<std::string_view> LineReader::next() {
  constexpr std::size_t read_bytes = 256 << 10, most_line_bytes = 1 << 20;
  for (;;) {
    const std::size_t end = text_.find('\n', begin_);
    if (end != std::string::npos || (is_at_end_ && begin_ < text_.size())) {
      const std::size_t stop = end == std::string::npos ? text_.size() : end;
      std::string_view line = std::string_view(text_).substr(begin_, stop - begin_);
      begin_ = end == std::string::npos ? text_.size() : end + 1;
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      return line;
    }
    if (is_at_end_) return std::nullopt;
    text_.erase(0, begin_);
    begin_ = 0;
    if (text_.size() > most_line_bytes) throw wrong("a line is too long");
    const std::size_t before = text_.size();
    text_.resize(before + read_bytes);
    const std::size_t got = read_({reinterpret_cast<std::byte*>(text_.data()) + before, read_bytes});
    text_.resize(before + got);
    is_at_end_ = got == 0;
  }
}

}  // namespace bale::bucket
