#include "cli/raw_list.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "jobs/raw/layout.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::json;

constexpr ByteCount most_list_bytes = 256 << 20;

/// A value of JSON as one of a record.
records::Value to_value(const Json& json) {
  if (json.is_string()) return records::Value(json.get<std::string>());
  if (json.is_boolean()) return records::Value(json.get<bool>());
  if (json.is_number()) return records::Value(records::Number{json.dump()});
  if (json.is_array()) {
    records::List list;
    for (const Json& each : json) list.push_back(to_value(each));
    return records::Value(std::move(list));
  }
  if (json.is_object()) {
    records::Map map;
    for (const auto& [name, value] : json.items()) map.emplace(name, to_value(value));
    return records::Value(std::move(map));
  }
  return records::Value(records::Null{});
}

std::string text_of(const Json& line, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = line.find(name);
    if (found == line.end() || found->is_null()) continue;
    if (!found->is_string()) throw Error(ErrorKind::invalid, fmt::format("{} is not a string", name));
    return found->get<std::string>();
  }
  return {};
}

raw::BackupRequest parse_line(std::string_view text) {
  const Json line = parse_json(text);
  if (!line.is_object()) throw Error(ErrorKind::invalid, "the line is not a JSON object");
  raw::BackupRequest request{.id = text_of(line, {"id", "_id"}), .main_path = text_of(line, {"path"})};
  request.project = text_of(line, {"project", "project_id"});
  request.instrument = text_of(line, {"instrument", "instrument_id"});
  if (request.id.empty()) throw Error(ErrorKind::invalid, "the line has no id");
  if (request.main_path.empty()) throw Error(ErrorKind::invalid, "the line has no path");
  raw::check_file_id(request.id);
  if (!line.contains("file_info")) return request;
  records::Item item;
  for (const auto& [name, value] : line.items()) item.emplace(name, to_value(value));
  item["id"] = records::Value(request.id);
  request.known = raw::from_items(item, {});
  return request;
}

}  // namespace

std::vector<raw::BackupRequest> parse_raw_list(std::string_view text, const std::string& file) {
  std::vector<raw::BackupRequest> requests;
  std::set<std::string> ids;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", escape_name(file), number);
    try {
      requests.push_back(parse_line(line));
    } catch (const Error& error) {
      throw Error(ErrorKind::invalid, error.summary(), where,
                  R"(write lines like {"id": "x", "path": "/pool/x.raw", "project": "P1", "instrument": "i1"})");
    }
    if (!ids.insert(requests.back().id).second)
      throw Error(ErrorKind::invalid, fmt::format("duplicate id {}", escape_name(requests.back().id)), where);
  }
  return requests;
}

std::vector<raw::BackupRequest> read_raw_list(os::Files& files, const std::string& path) {
  return parse_raw_list(os::read_text_file(files, path, most_list_bytes), path);
}

}  // namespace bale::cli
