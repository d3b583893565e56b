// The printed schemas and the parser must agree: every golden file that is JSON is judged by both. The judge below
// knows just the words that the schemas use, and fails the test on any other.
#include "config/schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "config/raw_shape.hpp"

namespace bale::config {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

bool accepts(const json& schema, const json& value);

bool has_type(const std::string& type, const json& value) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  ADD_FAILURE() << "unknown type " << type;
  return false;
}

bool object_fits(const json& schema, const json& value) {
  for (const auto& [name, child] : value.items()) {
    const bool known = schema.contains("properties") && schema["properties"].contains(name);
    const json& others = schema["additionalProperties"];
    if (!known && (others.is_boolean() ? !others.get<bool>() : !accepts(others, child))) return false;
    if (known && !accepts(schema["properties"][name], child)) return false;
  }
  const json required = schema.value("required", json::array());
  return std::all_of(required.begin(), required.end(),
                     [&](const json& name) { return value.contains(name.get<std::string>()); });
}

bool string_fits(const json& schema, const std::string& value) {
  if (schema.contains("pattern") && !std::regex_search(value, std::regex(schema["pattern"].get<std::string>())))
    return false;
  return value.size() >= schema.value("minLength", 0u) && value.size() <= schema.value("maxLength", 100'000u);
}

/// JSON Schema, as far as our schemas go.
bool accepts(const json& schema, const json& value) {
  static const std::set<std::string> words = {
      "$schema",   "title",     "description", "type",    "properties", "additionalProperties",
      "required",  "items",     "enum",        "const",   "anyOf",      "pattern",
      "minLength", "maxLength", "minimum",     "maximum", "minItems"};
  for (const auto& [word, ignored] : schema.items()) EXPECT_TRUE(words.contains(word)) << word;
  if (schema.contains("anyOf")) {
    return std::any_of(schema["anyOf"].begin(), schema["anyOf"].end(),
                       [&](const json& s) { return accepts(s, value); });
  }
  if (schema.contains("const")) return value == schema["const"];
  if (schema.contains("type") && !has_type(schema["type"], value)) return false;
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return false;
  if (value.is_string()) return string_fits(schema, value);
  if (value.is_object()) return object_fits(schema, value);
  if (value.is_number()) return value >= schema["minimum"] && value <= schema["maximum"];
  if (value.is_array()) {
    return value.size() >= schema.value("minItems", 0u) &&
           std::all_of(value.begin(), value.end(), [&](const json& v) { return accepts(schema["items"], v); });
  }
  return true;
}

bool parser_accepts(const Shape& shape, const json& value) {
  std::vector<Finding> findings;
  check_shape(value, {.type = Member::Type::object, .shape = &shape}, "file", "", findings);
  return findings.empty();
}

json golden(const fs::path& path) {
  std::ifstream stream(path);
  return json::parse(stream, nullptr, false);
}

TEST(Schema, AgreesWithTheParserOnEveryGoldenFile) {
  const json settings = json::parse(settings_schema()), replication = json::parse(replication_schema());
  int accepted = 0, refused = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(BALE_TEST_DATA) / "unit/config/golden")) {
    for (const char* name : {"settings.json", "replication_config.json"}) {
      const json value = golden(entry.path() / name);
      if (value.is_discarded()) continue;
      const bool is_settings = std::string_view(name) == "settings.json";
      const bool fits = parser_accepts(is_settings ? settings_shape() : replication_shape(), value);
      EXPECT_EQ(accepts(is_settings ? settings : replication, value), fits) << entry.path() / name;
      ++(fits ? accepted : refused);
    }
  }
  EXPECT_GE(accepted, 10);
  EXPECT_GE(refused, 5);
}

TEST(Schema, AgreesWithTheParserWhenOneMemberIsSpoilt) {
  const json schema = json::parse(replication_schema());
  const json good = golden(fs::path(BALE_TEST_DATA) / "unit/config/golden/everything/replication_config.json");
  const json spoilt[] = {nullptr, "", "x", 0, -1, 1.5, true, json::array(), json::object(), std::string(3000, 'x')};
  const json::json_pointer source("/replication_configuration/0/source");
  const json::json_pointer destination("/replication_configuration/0/destinations/0");
  int differing = 0;
  for (const auto& parent : {source, destination}) {
    for (const auto& [name, ignored] : good.at(parent).items()) {
      for (const json& value : spoilt) {
        json changed = good;
        changed[parent / name] = value;
        EXPECT_EQ(accepts(schema, changed), parser_accepts(replication_shape(), changed)) << name << " = " << value;
        ++differing;
      }
      json without = good;
      without[parent].erase(name);
      EXPECT_EQ(accepts(schema, without), parser_accepts(replication_shape(), without)) << "without " << name;
    }
  }
  EXPECT_GT(differing, 150);
}

/// Names and ranges of every member below `shape` that `text` does not tell.
void find_undocumented(const Shape& shape, const std::string& text, std::vector<std::string>& missing) {
  for (const Member& member : shape.members) {
    if (text.find("`" + member.name + "`") == std::string::npos) missing.push_back(member.name);
    const std::string range = std::to_string(member.least) + "-" + std::to_string(member.most);
    if (member.type == Member::Type::integer && text.find(range) == std::string::npos)
      missing.push_back(member.name + " " + range);
    if (member.shape != nullptr) find_undocumented(*member.shape, text, missing);
    if (member.element != nullptr && member.element->shape != nullptr)
      find_undocumented(*member.element->shape, text, missing);
  }
}

TEST(Schema, EveryMemberIsInTheGuideWithItsRange) {
  std::ifstream stream(fs::path(BALE_TEST_DATA).parent_path() / "docs/configuration.md");
  const std::string guide{std::istreambuf_iterator<char>(stream), {}};
  ASSERT_FALSE(guide.empty());
  std::vector<std::string> missing;
  find_undocumented(settings_shape(), guide, missing);
  find_undocumented(replication_shape(), guide, missing);
  find_undocumented(raw_shape(), guide, missing);
  EXPECT_EQ(missing, std::vector<std::string>{});
}

TEST(Schema, NamesItselfAndDescribesEveryMember) {
  const json schema = json::parse(settings_schema());
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  for (const auto& [name, member] : schema["properties"].items())
    EXPECT_FALSE(member["description"].get<std::string>().empty()) << name;
}

}  // namespace
}  // namespace bale::config
