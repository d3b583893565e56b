// Records as items of the record store, and back.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "jobs/raw/record.hpp"
#include "records/item_rules.hpp"

namespace bale::raw {
namespace {

using records::Item;
using records::List;
using records::Map;
using records::Number;
using records::Value;

/// A list of files up to this size stays in the record's item, where people see it.
constexpr std::size_t max_inline_bytes = 8 << 10;
/// Bytes of a page. A state of one file that changes writes one page; DynamoDB bills a write by the KB.
constexpr std::size_t max_page_bytes = 64 << 10;
constexpr std::size_t page_digest_digits = 32;
constexpr std::int64_t last_ms = 253'402'300'799'999;  ///< of the year 9999: later times cannot be printed

// Writing

void put_text(Map& map, const char* name, std::string_view text) {
  if (!text.empty()) map[name] = Value(std::string(text));
}
void put_number(Map& map, const char* name, std::uint64_t number) {
  map[name] = Value(Number{fmt::format("{}", number)});
}
void put_time(Map& map, const char* name, const std::optional<TimePoint>& time) {
  if (time && *time != TimePoint{}) map[name] = Value(to_iso8601(*time));
}

std::string to_base64_crc(std::uint64_t crc) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(crc >> (56 - 8 * i));
  return to_base64(as_bytes(bytes));
}

void check_length(std::string_view text, std::size_t most, std::string_view what, const RawRecord& record) {
  if (text.size() <= most) return;
  throw Error(ErrorKind::invalid, fmt::format("{} has {} bytes; a record takes {}", what, text.size(), most),
              escape_for_terminal(fmt::format("raw file {}", record.id)));
}

Value file_value(const FileRecord& file) {
  Map map;
  map["name"] = Value(file.name);
  if (file.source != file.name) put_text(map, "source", file.source);
  put_text(map, "key", file.key.str());
  put_number(map, "size", file.size);
  put_time(map, "modified", file.modified);
  map["state"] = Value(std::string(to_string(file.state)));
  put_text(map, "md5", file.md5);
  put_text(map, "etag", file.etag.str());
  if (file.part_bytes != 0) put_number(map, "part_bytes", file.part_bytes);
  if (file.crc64nvme) map["crc64nvme"] = Value(to_base64_crc(*file.crc64nvme));
  put_text(map, "version_id", file.version_id.str());
  put_text(map, "upload_id", file.upload_id.str());
  put_text(map, "upload_token", file.upload_token);
  return map;
}

/// Files, then empty folders, in one list.
List entries_of(const RawRecord& record) {
  List entries;
  for (const FileRecord& file : record.files) {
    check_length(file.name, max_key_bytes, "the name of a file", record);
    entries.push_back(file_value(file));
  }
  for (const std::string& folder : record.empty_folders) {
    check_length(folder, max_key_bytes, "the name of a folder", record);
    entries.emplace_back(Map{{"name", Value(folder)}, {"folder", Value(true)}});
  }
  return entries;
}

std::size_t bytes_of(const Value& value) { return records::item_size({{"e", value}}); }

Item page_of(const std::string& id, std::string_view prefix, List entries) {
  const std::string content = records::to_dynamodb_json({{"entries", Value(entries)}});
  const std::string digest = to_hex_digest(Sha256::of(as_bytes(content))).substr(0, page_digest_digits);
  return {
      {"id", Value(id)}, {"part", Value(fmt::format("{}{}", prefix, digest))}, {"entries", Value(std::move(entries))}};
}

std::vector<Item> pages_of(const std::string& id, std::string_view prefix, List entries) {
  std::vector<Item> pages;
  List page;
  std::size_t bytes = 0;
  for (Value& entry : entries) {
    const std::size_t more = bytes_of(entry);
    if (!page.empty() && bytes + more > max_page_bytes) {
      pages.push_back(page_of(id, prefix, std::exchange(page, {})));
      bytes = 0;
    }
    page.push_back(std::move(entry));
    bytes += more;
  }
  if (!page.empty()) pages.push_back(page_of(id, prefix, std::move(page)));
  return pages;
}

Value error_value(const LastError& error) {
  Map map;
  map["kind"] = Value(std::string(to_string(error.kind)));
  put_text(map, "code", error.code);
  put_text(map, "message", error.message);
  map["step"] = Value(std::string(to_string(error.step)));
  put_time(map, "at", error.at);
  return map;
}

// Reading: what is missing or has another type is not known.

const Value* find(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

template <typename Type>
const Type* get(const Map& map, const std::string& name) {
  const Value* value = find(map, name);
  return value == nullptr ? nullptr : std::get_if<Type>(&value->data);
}

std::string text_of(const Map& map, const std::string& name) {
  const auto* text = get<std::string>(map, name);
  return text == nullptr ? std::string() : *text;
}

std::uint64_t count_of(const Value& value) {
  const auto* number = std::get_if<Number>(&value.data);
  std::uint64_t count = 0;
  if (number == nullptr) return 0;
  const std::string& digits = number->digits;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return error == std::errc() && end == digits.data() + digits.size() ? count : 0;
}

std::uint64_t count_of(const Map& map, const std::string& name) {
  const Value* value = find(map, name);
  return value == nullptr ? 0 : count_of(*value);
}

std::optional<TimePoint> time_of(const Map& map, const std::string& name) {
  try {
    const std::string text = text_of(map, name);
    const TimePoint time = text.empty() ? TimePoint{} : parse_time(text);
    return time == TimePoint{} ? std::nullopt : std::optional(time);
  } catch (const Error&) {
    return std::nullopt;  // no time
  }
}

std::optional<std::uint64_t> crc_of(const std::string& base64) {
  try {
    const std::string bytes = from_base64(base64);
    if (bytes.size() != 8) return std::nullopt;
    std::uint64_t crc = 0;
    for (const char c : bytes) crc = crc << 8 | static_cast<unsigned char>(c);
    return crc;
  } catch (const Error&) {
    return std::nullopt;  // no checksum
  }
}

template <typename Word>
std::optional<Word> word_of(std::string_view text, std::initializer_list<Word> words) {
  for (const Word word : words)
    if (to_lower(to_string(word)) == to_lower(text)) return word;
  return std::nullopt;
}

std::optional<BackupStatus> status_of(std::string_view text) {
  constexpr std::string_view upload = "upload_";
  if (to_lower(text).starts_with(upload)) text.remove_prefix(upload.size());
  return word_of(text, {BackupStatus::in_progress, BackupStatus::done, BackupStatus::failed});
}

std::optional<Step> step_of(std::string_view text) { return word_of(text, {Step::copy, Step::upload, Step::done}); }

/// Kinds of errors, as base/error.hpp has them.
constexpr ErrorKind error_kinds[] = {ErrorKind::not_found,    ErrorKind::denied,  ErrorKind::throttled,
                                     ErrorKind::precondition, ErrorKind::invalid, ErrorKind::corrupt,
                                     ErrorKind::unavailable,  ErrorKind::timeout, ErrorKind::cancelled,
                                     ErrorKind::unsupported,  ErrorKind::internal};

LastError error_of(const Map& map) {
  LastError error;
  for (const ErrorKind kind : error_kinds)
    if (text_of(map, "kind") == to_string(kind)) error.kind = kind;
  error.code = text_of(map, "code");
  error.message = text_of(map, "message");
  error.step = step_of(text_of(map, "step")).value_or(Step::copy);
  error.at = time_of(map, "at").value_or(TimePoint{});
  return error;
}

FileRecord file_of(const Map& map) {
  FileRecord file;
  file.name = text_of(map, "name");
  file.source = text_of(map, "source");
  if (file.source.empty()) file.source = file.name;
  file.key = ObjectKey(text_of(map, "key"));
  file.size = count_of(map, "size");
  file.modified = time_of(map, "modified").value_or(TimePoint{});
  file.state =
      word_of(text_of(map, "state"), {FileState::planned, FileState::copied, FileState::uploading, FileState::uploaded})
          .value_or(FileState::planned);
  file.md5 = text_of(map, "md5");
  file.etag = ETag(text_of(map, "etag"));
  file.part_bytes = count_of(map, "part_bytes");
  file.crc64nvme = crc_of(text_of(map, "crc64nvme"));
  file.version_id = VersionId(text_of(map, "version_id"));
  file.upload_id = UploadId(text_of(map, "upload_id"));
  file.upload_token = text_of(map, "upload_token");
  return file;
}

void read_entries(const List& entries, RawRecord& record) {
  for (const Value& entry : entries) {
    const auto* map = std::get_if<Map>(&entry.data);
    if (map == nullptr) continue;
    const auto* folder = get<bool>(*map, "folder");
    if (folder != nullptr && *folder)
      record.empty_folders.push_back(text_of(*map, "name"));
    else
      record.files.push_back(file_of(*map));
  }
}

void read_pages(const Item& item, const std::vector<Item>& pages, RawRecord& record) {
  for (const std::string& name : page_names(item)) {
    const auto page =
        std::find_if(pages.begin(), pages.end(), [&](const Item& one) { return text_of(one, "part") == name; });
    const auto* entries = page == pages.end() ? nullptr : get<List>(*page, "entries");
    if (entries == nullptr)
      throw Error(ErrorKind::corrupt, "a part of the record's list of files is missing: " + escape_for_terminal(name),
                  escape_for_terminal(fmt::format("raw file {}", record.id)));
    read_entries(*entries, record);
  }
}

/// "{etag}__{chunk size in MiB}", of alphakraken's file_info.
void read_pipeline_etag(std::string_view text, FileRecord& file) {
  const auto separator = text.rfind("__");
  file.etag = ETag(text.substr(0, separator));
  if (separator == std::string_view::npos) return;
  const std::string_view digits = text.substr(separator + 2);
  std::uint64_t mebibytes = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mebibytes);
  // S3's largest part has 5 GiB.
  if (error == std::errc() && end == digits.data() + digits.size() && mebibytes <= 5120)
    file.part_bytes = mebibytes << 20;
}

/// file_info of alphakraken: path -> [size, md5, etag], the last two of which may be missing.
void read_file_info(const Map& info, RawRecord& record) {
  for (const auto& [path, value] : info) {
    FileRecord file;
    file.name = file.source = path;
    if (const auto* list = std::get_if<List>(&value.data)) {
      const auto text = [&](std::size_t at) {
        const auto* found = at < list->size() ? std::get_if<std::string>(&(*list)[at].data) : nullptr;
        return found == nullptr ? std::string() : *found;
      };
      if (!list->empty()) file.size = count_of((*list)[0]);
      file.md5 = text(1);
      read_pipeline_etag(text(2), file);
    } else if (const auto* map = std::get_if<Map>(&value.data)) {
      file.size = count_of(*map, "size");
      file.md5 = text_of(*map, "md5");
      read_pipeline_etag(text_of(*map, "etag"), file);
    }
    record.files.push_back(std::move(file));
  }
}

/// Members that alphakraken's pipeline calls otherwise, where the record does not have its own.
void read_pipeline_members(const Item& item, RawRecord& record) {
  const auto fill = [&](std::string& member, const char* name) {
    if (member.empty()) member = text_of(item, name);
  };
  fill(record.project, "project_id");
  fill(record.instrument, "instrument_id");
  if (record.created == TimePoint{}) record.created = time_of(item, "created_at").value_or(TimePoint{});
  const std::string uploaded = text_of(item, "s3_upload_path");
  if (record.bucket.empty() && is_s3_uri(uploaded)) {
    try {
      const ObjectAddress address = parse_s3_uri(uploaded);
      record.bucket = address.bucket;
      if (record.s3_backup_key.empty()) record.s3_backup_key = address.key.str();
    } catch (const Error&) {
      record.bucket = BucketName();  // no address
    }
  }
  if (const auto* info = get<Map>(item, "file_info"); info != nullptr && record.files.empty())
    read_file_info(*info, record);
}

Value plain_value(const nlohmann::json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer() || json.is_number_unsigned()) return Number{json.dump()};
  // Pipelines that keep sizes as floating-point numbers: whole ones are exact up to 2^53.
  if (json.is_number_float()) {
    const double number = json.get<double>();
    constexpr double exact = 9'007'199'254'740'992.0;
    if (number >= 0 && number <= exact && number == static_cast<double>(static_cast<std::uint64_t>(number)))
      return Number{fmt::format("{}", static_cast<std::uint64_t>(number))};
    return records::Null{};
  }
  if (json.is_array()) {
    List list;
    for (const auto& element : json) list.push_back(plain_value(element));
    return list;
  }
  if (!json.is_object()) return records::Null{};
  if (json.size() ==
      1) {  // MongoDB's extended JSON: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
    const auto& [name, value] = *json.items().begin();
    if (name == "$oid" || name == "$date") {
      if (value.is_number_integer()) return to_iso8601(from_epoch_ms(std::clamp<std::int64_t>(value, 0, last_ms)));
      return plain_value(value);
    }
    if ((name == "$numberLong" || name == "$numberInt") && value.is_string()) return Number{value.get<std::string>()};
  }
  Map map;
  for (const auto& [name, value] : json.items()) map[name] = plain_value(value);
  return map;
}

}  // namespace

RecordItems to_items(const RawRecord& record, std::string_view page_prefix) {
  check_length(record.s3_backup_key, max_key_bytes, "s3_backup_key", record);
  check_length(record.s3_etag.str(), max_etag_bytes, "s3_etag", record);
  if (record.files.size() + record.empty_folders.size() > max_files)
    throw Error(ErrorKind::invalid, fmt::format("the raw file has more than {} files", max_files),
                escape_for_terminal(fmt::format("raw file {}", record.id)));
  RecordItems items;
  Item& item = items.record;
  item["id"] = Value(record.id);
  item["part"] = Value("record");
  if (record.backup_status) item["backup_status"] = Value(std::string(to_string(*record.backup_status)));
  item["step"] = Value(std::string(to_string(record.step)));
  put_time(item, "copy_begun", record.copy.begun);
  put_time(item, "copy_ended", record.copy.ended);
  put_time(item, "upload_begun", record.upload.begun);
  put_time(item, "upload_ended", record.upload.ended);
  put_time(item, "created", record.created);
  put_time(item, "updated", record.updated);
  put_text(item, "project", record.project);
  put_text(item, "instrument", record.instrument);
  put_text(item, "month", record.month);
  put_text(item, "layout", record.layout);
  put_text(item, "key_layout", record.key_layout);
  put_text(item, "main", record.main);
  put_text(item, "source_path", record.source_path);
  put_text(item, "pool_path", record.pool_path);
  put_text(item, "region", record.region.str());
  put_text(item, "bucket", record.bucket.str());
  put_text(item, "s3_backup_key", record.s3_backup_key);
  put_text(item, "s3_etag", record.s3_etag.str());
  put_number(item, "size", record.bytes());
  put_number(item, "attempts", record.attempts);
  if (record.last_error) item["last_error"] = error_value(*record.last_error);
  put_time(item, "purged", record.purged);

  List entries = entries_of(record);
  std::size_t bytes = 0;
  for (const Value& entry : entries) bytes += bytes_of(entry);
  if (bytes <= max_inline_bytes) {
    if (!entries.empty()) item["files"] = Value(std::move(entries));
    return items;
  }
  items.pages = pages_of(record.id, page_prefix, std::move(entries));
  List names;
  for (const Item& page : items.pages) names.push_back(page.at("part"));
  item["file_pages"] = Value(std::move(names));
  return items;
}

std::vector<std::string> page_names(const Item& record) {
  std::vector<std::string> names;
  if (const auto* list = get<List>(record, "file_pages")) {
    for (const Value& name : *list)
      if (const auto* text = std::get_if<std::string>(&name.data)) names.push_back(*text);
  }
  return names;
}

RawRecord from_items(const Item& item, const std::vector<Item>& pages) {
  RawRecord record;
  record.id = text_of(item, "id");
  record.backup_status = status_of(text_of(item, "backup_status"));
  const bool is_done = record.backup_status == BackupStatus::done;
  record.step = step_of(text_of(item, "step")).value_or(is_done ? Step::done : Step::copy);
  record.copy = {time_of(item, "copy_begun"), time_of(item, "copy_ended")};
  record.upload = {time_of(item, "upload_begun"), time_of(item, "upload_ended")};
  record.created = time_of(item, "created").value_or(TimePoint{});
  record.updated = time_of(item, "updated").value_or(TimePoint{});
  record.project = text_of(item, "project");
  record.instrument = text_of(item, "instrument");
  record.month = text_of(item, "month");
  record.layout = text_of(item, "layout");
  record.key_layout = text_of(item, "key_layout");
  record.main = text_of(item, "main");
  record.source_path = text_of(item, "source_path");
  record.pool_path = text_of(item, "pool_path");
  record.region = Region(text_of(item, "region"));
  record.bucket = BucketName(text_of(item, "bucket"));
  record.s3_backup_key = text_of(item, "s3_backup_key");
  record.s3_etag = ETag(text_of(item, "s3_etag"));
  const std::uint64_t attempts = count_of(item, "attempts");
  record.attempts = static_cast<std::uint32_t>(std::min<std::uint64_t>(attempts, UINT32_MAX));
  if (const auto* error = get<Map>(item, "last_error")) record.last_error = error_of(*error);
  record.purged = time_of(item, "purged");
  if (const auto* files = get<List>(item, "files")) read_entries(*files, record);
  read_pages(item, pages, record);
  read_pipeline_members(item, record);
  return record;
}

RawRecord from_pipeline_json(std::string_view text) {
  const nlohmann::json json = parse_json(text);
  const Error refused(ErrorKind::invalid, "this is not the record of a raw file: a JSON object with an id is needed");
  if (!json.is_object()) throw refused;
  const Value value = plain_value(json);
  const auto* members = std::get_if<Map>(&value.data);
  if (members == nullptr) throw refused;
  Item item = *members;
  for (const char* name : {"id", "_id", "name"}) {
    if (const std::string id = text_of(*members, name); !id.empty()) {
      item["id"] = Value(id);
      return from_items(item, {});
    }
  }
  throw refused;
}

}  // namespace bale::raw
