#include "jobs/bucket/report.hpp"

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

using Json = nlohmann::ordered_json;

void add_key(Json& line, std::string_view key) {
  const bool is_text = is_utf8(key);
  line["key"] = is_text ? std::string(key) : escape_name(key);
  if (!is_text) line["key_base64"] = to_base64(as_bytes(key));
}

Json side_of(const store::ListedObject& object) {
  return {{"size", object.size}, {"etag", object.etag.str()}, {"last_modified", to_iso8601(object.last_modified)}};
}

std::string text_of(const nlohmann::json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Json to_json(const Finding& finding, std::string_view prefix) {
  Json line{{"type", "evidence"}};
  add_key(line, std::string(prefix) + std::string(finding.name));
  line["verdict"] = to_string(finding.evidence.verdict);
  line["by"] = finding.evidence.by;
  if (finding.left != nullptr) line["left"] = side_of(*finding.left);
  if (finding.right != nullptr) line["right"] = side_of(*finding.right);
  if (finding.failure && !finding.failure->code().empty()) line["code"] = finding.failure->code();
  return line;
}

Json to_json(std::string_view key, const Error& error) {
  Json line{{"type", "failure"}};
  add_key(line, key);
  line["kind"] = to_string(error.kind());
  line["code"] = error.code();
  line["message"] = error.summary();
  return line;
}

std::optional<std::string> key_to_copy(std::string_view text) {
  const auto line = parse_json(text);
  if (!line.is_object()) throw Error(ErrorKind::invalid, "the line is not a JSON object");
  const std::string type = text_of(line, "type"), verdict = text_of(line, "verdict");
  const bool is_wanted = type == "failure" ||
                         (type == "evidence" && (verdict == "missing" || verdict == "differs" || verdict == "unknown"));
  if (!is_wanted) return std::nullopt;
  const std::string shown = text_of(line, "key"), base64 = text_of(line, "key_base64");
  if (shown.empty()) throw Error(ErrorKind::invalid, "the line has no key");
  if (base64.empty()) return shown;
  const auto bytes = bytes_behind(shown, base64);
  return bytes ? *bytes : shown;
}

}  // namespace bale::bucket
