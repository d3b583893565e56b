#include "cli/s3_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::cli {
namespace {

struct ContentType {
  std::string_view extension, type;
};

/// Sorted by extension. https://www.iana.org/assignments/media-types/
constexpr ContentType content_types[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/x-c"},
    {"cc", "text/x-c"},
    {"cpp", "text/x-c"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/x-c"},
    {"heic", "image/heic"},
    {"hpp", "text/x-c"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar"},
    {"jar", "application/java-archive"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jsonl", "application/x-ndjson"},
    {"log", "text/plain"},
    {"m4a", "audio/mp4"},
    {"md", "text/markdown"},
    {"mjs", "text/javascript"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"otf", "font/otf"},
    {"parquet", "application/vnd.apache.parquet"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"py", "text/x-python"},
    {"rar", "application/vnd.rar"},
    {"rtf", "application/rtf"},
    {"sh", "application/x-sh"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"tsv", "text/tab-separated-values"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

/// Whether `text` is "-", or what Linux calls descriptor 0 or 1 of this process.
bool names_standard_stream(std::string_view text, int descriptor) {
  return text == "-" || text == (descriptor == 0 ? "/dev/stdin" : "/dev/stdout") ||
         text == fmt::format("/dev/fd/{}", descriptor) || text == fmt::format("/proc/self/fd/{}", descriptor);
}

Error not_a_pair(std::string_view text, std::string_view option) {
  return Error(ErrorKind::invalid, fmt::format("'{}' is not name=value", escape_name(text)), std::string(option));
}

std::pair<std::string, std::string> split_pair(std::string_view text, std::string_view option) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) throw not_a_pair(text, option);
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Error given_twice(std::string_view name, std::string_view option) {
  return Error(ErrorKind::invalid, fmt::format("'{}' is given twice", escape_name(name)), std::string(option),
               "give each name once");
}

/// Of two values of one name, one would be lost without a word.
template <typename Pairs>
void add_once(Pairs& pairs, std::string name, std::string value, std::string_view option) {
  const auto [place, is_new] = pairs.try_emplace(std::move(name), std::move(value));
  if (!is_new) throw given_twice(place->first, option);
}

/// Metadata travel in headers whose names end with theirs: RFC 9110, 5.6.2, token.
void add_metadata_pair(store::UserMetadata& metadata, const std::string& name, std::string value) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const bool is_token = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
  if (!is_token) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no name of metadata", escape_name(name)), "--metadata",
                "use ASCII letters, digits and '-' in names; values may have any characters");
  }
  add_once(metadata, to_lower(name), std::move(value), "--metadata");
}

/// Whether `text` starts with "name=": what a comma must be followed by to end a value.
bool starts_with_name(std::string_view text) {
  const auto equals = text.find('=');
  return equals != std::string_view::npos && equals != 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == '.';
         });
}

void add_metadata_json(std::string_view text, store::UserMetadata& metadata) {
  // Of names that come twice, a parsed object has the last value alone.
  std::set<std::string> names;
  const auto note = [&names](int, nlohmann::json::parse_event_t event, const nlohmann::json& name) {
    const bool is_name = event == nlohmann::json::parse_event_t::key;
    if (is_name && !names.insert(to_lower(name.get<std::string>())).second)
      throw given_twice(name.get<std::string>(), "--metadata");
    return true;
  };
  const bool is_deep = is_nested_deeper(text);
  const nlohmann::json json = is_deep ? nlohmann::json() : nlohmann::json::parse(text, note, false);
  const bool fits = json.is_object() && std::all_of(json.begin(), json.end(),
                                                    [](const nlohmann::json& value) { return value.is_string(); });
  if (!fits) throw Error(ErrorKind::invalid, "not a JSON object of strings", "--metadata");
  for (const auto& [name, value] : json.items()) add_metadata_pair(metadata, name, value.get<std::string>());
}

}  // namespace

std::string_view nothing_found(const std::vector<FilterRule>& rules) noexcept {
  return rules.empty() ? "there is nothing below it" : "there is nothing below it that the filters take";
}

std::string_view guess_content_type(std::string_view name) noexcept {
  const std::string_view base = basename(name);
  const auto dot = base.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};  // ".profile" has no extension
  const std::string extension = to_lower(base.substr(dot + 1));
  const auto found = std::lower_bound(std::begin(content_types), std::end(content_types), extension,
                                      [](const ContentType& type, const std::string& e) { return type.extension < e; });
  return found != std::end(content_types) && found->extension == extension ? found->type : std::string_view{};
}

Location parse_location(std::string_view text) {
  if (text == "-") return {.kind = Location::Kind::stream};
  if (!text.starts_with("s3:")) {
    if (text.empty()) throw Error(ErrorKind::invalid, "an empty path");
    return {.kind = Location::Kind::local, .path = std::filesystem::path(text)};
  }
  Location location{.kind = Location::Kind::remote, .object = parse_s3_uri(text)};
  check_bucket_name(location.object.bucket);
  return location;
}

Location parse_source(std::string_view text) {
  return names_standard_stream(text, 0) ? Location{.kind = Location::Kind::stream} : parse_location(text);
}

Location parse_destination(std::string_view text) {
  return names_standard_stream(text, 1) ? Location{.kind = Location::Kind::stream} : parse_location(text);
}

bool is_standard_output(std::string_view text) { return names_standard_stream(text, 1); }

std::string as_directory(std::string_view prefix) {
  return prefix.empty() || prefix.ends_with('/') ? std::string(prefix) : std::string(prefix) + "/";
}

std::filesystem::path local_path_for(const std::filesystem::path& directory, std::string_view relative_key) {
  const auto refuse = [&](std::string_view why) {
    return Error(ErrorKind::invalid, fmt::format("the key cannot be a file: {}", why), escape_name(relative_key),
                 "copy this object by itself, to a file name of your choice");
  };
  if (relative_key.find('\0') != std::string_view::npos) throw refuse("it contains a NUL byte");
  for (const std::string_view component : split(relative_key, '/')) {
    if (component.empty()) throw refuse("it starts or ends with '/', or has two of them in a row");
    if (component == "." || component == "..") throw refuse(fmt::format("it contains '{}'", component));
  }
  return directory / std::filesystem::path(relative_key);
}

void add_metadata(std::string_view text, store::UserMetadata& metadata) {
  if (text.starts_with('{')) return add_metadata_json(text, metadata);
  while (!text.empty()) {
    std::size_t end = text.find(',');
    while (end != std::string_view::npos && !starts_with_name(text.substr(end + 1))) end = text.find(',', end + 1);
    const auto [name, value] = split_pair(text.substr(0, end), "--metadata");
    add_metadata_pair(metadata, name, value);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

void add_tagging(std::string_view text, store::Tags& tags) {
  for (const std::string_view pair : split(text, '&')) {
    if (text.empty()) return;
    const auto [name, value] = split_pair(pair, "--tagging");
    add_once(tags, form_decode(name), form_decode(value), "--tagging");
  }
}

void add_tag(std::string_view text, store::Tags& tags) {
  auto [name, value] = split_pair(text, "--tag");
  add_once(tags, std::move(name), std::move(value), "--tag");
}

}  // namespace bale::cli
