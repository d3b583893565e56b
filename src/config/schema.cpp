#include "config/schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::config {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Type = Member::Type;

/// No string of a configuration is longer; it also keeps std::regex, which recurses, from running out of stack.
constexpr std::size_t max_string_bytes = 2048;

std::string_view type_words(Type type) {
  switch (type) {
    case Type::string: return "a string";
    case Type::boolean: return "true or false";
    case Type::integer: return "a whole number";
    case Type::object: return "an object {...}";
    case Type::array: return "an array [...]";
    case Type::string_map: return "an object whose values are strings";
    case Type::other: return "anything";
  }
  return "";
}

bool has_type(const json& value, Type type) {
  switch (type) {
    case Type::string: return value.is_string();
    case Type::boolean: return value.is_boolean();
    case Type::integer: return value.is_number_integer();
    case Type::array: return value.is_array();
    case Type::object:
    case Type::string_map: return value.is_object();
    case Type::other: return true;
  }
  return false;
}

/// A value as it is shown in a message: short, on one line.
std::string shown(const json& value) {
  constexpr std::size_t most = 60;
  const std::string text = value.dump();
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

/// One run over a file: what is found is added to one list.
class Checker {
 public:
  Checker(const std::string& file, std::vector<Finding>& findings) : file_(file), findings_(findings) {}

  void check(const json& value, const Member& member, const std::string& path) {
    if (!has_type(value, member.type))
      return add(path, fmt::format("{} is not {}", shown(value), type_words(member.type)));
    switch (member.type) {
      case Type::string: return check_string(value.get_ref<const std::string&>(), member, path);
      case Type::integer: return check_integer(value, member, path);
      case Type::object: return check_object(value, *member.shape, path);
      case Type::array: return check_array(value, member, path);
      case Type::string_map: return check_map(value, path);
      case Type::boolean:
      case Type::other: return;
    }
  }

 private:
  void add(const std::string& path, std::string message) { findings_.push_back({file_, path, std::move(message)}); }

  void check_string(const std::string& value, const Member& member, const std::string& path) {
    const std::string text = shown(value);
    if (!member.choices.empty()) {
      if (std::find(member.choices.begin(), member.choices.end(), value) != member.choices.end()) return;
      const std::string near = closest_match(value, member.choices);
      const std::string hint = near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
      return add(path, fmt::format("{} is not one of {}{}", text, fmt::join(member.choices, ", "), hint));
    }
    if (value.size() > max_string_bytes)
      return add(path, fmt::format("the string has {} bytes; at most {} are allowed", value.size(), max_string_bytes));
    if (!member.pattern.empty() && !std::regex_match(value, std::regex(member.pattern)))
      add(path, fmt::format("{} is not {}", text, member.allowed));
  }

  void check_integer(const json& value, const Member& member, const std::string& path) {
    // An unsigned value beyond int64 would turn negative.
    const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX};
    if (!huge && value.get<std::int64_t>() >= member.least && value.get<std::int64_t>() <= member.most) return;
    add(path, fmt::format("{} is not in {}-{}", shown(value), member.least, member.most));
  }

  void check_object(const json& value, const Shape& shape, const std::string& path) {
    std::vector<std::string> names;
    for (const Member& member : shape.members) names.push_back(member.name);
    for (const auto& [name, child] : value.items()) {
      if (shape.is_open || std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string near = closest_match(name, names);
      add(member_path(path, name), near.empty()
                                       ? fmt::format("unknown member; allowed here: {}", fmt::join(names, ", "))
                                       : fmt::format("unknown member; did you mean \"{}\"?", near));
    }
    for (const Member& member : shape.members) {
      const auto found = value.find(member.name);
      const bool omitted = found == value.end() || (found->is_string() && found->get_ref<const std::string&>().empty());
      if (!omitted)
        check(*found, member, member_path(path, member.name));
      else if (member.required)
        add(member_path(path, member.name), found == value.end() ? "is missing" : "is empty");
    }
  }

  void check_array(const json& value, const Member& member, const std::string& path) {
    if (value.size() < member.least_elements)
      add(path, fmt::format("has {} elements; at least {} must be given", value.size(), member.least_elements));
    for (std::size_t i = 0; i < value.size(); ++i) check(value[i], *member.element, element_path(path, i));
  }

  void check_map(const json& value, const std::string& path) {
    for (const auto& [name, child] : value.items()) {
      if (!child.is_string()) add(member_path(path, name), fmt::format("{} is not a string", shown(child)));
    }
  }

  const std::string& file_;
  std::vector<Finding>& findings_;
};

ordered_json to_schema(const Shape& shape);

ordered_json string_schema(const Member& member) {
  ordered_json schema = {{"type", "string"}};
  if (!member.choices.empty()) schema["enum"] = member.choices;
  if (!member.pattern.empty()) schema["pattern"] = member.pattern;
  if (member.choices.empty()) schema["maxLength"] = max_string_bytes;
  return schema;
}

ordered_json value_schema(const Member& member) {
  switch (member.type) {
    case Type::string: return string_schema(member);
    case Type::boolean: return {{"type", "boolean"}};
    case Type::integer: return {{"type", "integer"}, {"minimum", member.least}, {"maximum", member.most}};
    case Type::object: return to_schema(*member.shape);
    case Type::string_map: return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    case Type::array: {
      ordered_json schema = {{"type", "array"}, {"items", value_schema(*member.element)}};
      if (member.least_elements != 0) schema["minItems"] = member.least_elements;
      return schema;
    }
    case Type::other: return ordered_json::parse(member.schema);
  }
  return {};
}

ordered_json member_schema(const Member& member) {
  ordered_json value = value_schema(member);
  ordered_json schema;
  const bool restricted = member.type != Type::string || !member.choices.empty() || !member.pattern.empty();
  if (!member.required && restricted)
    schema["anyOf"] = ordered_json::array({value, {{"const", ""}}});  // an empty string is an omission
  else
    schema = value;
  if (member.required && member.type == Type::string) schema["minLength"] = 1;
  schema["description"] = member.description;
  return schema;
}

ordered_json to_schema(const Shape& shape) {
  ordered_json properties = ordered_json::object();
  std::vector<std::string> required;
  for (const Member& member : shape.members) {
    properties[member.name] = member_schema(member);
    if (member.required) required.push_back(member.name);
  }
  ordered_json schema = {{"type", "object"}, {"properties", properties}, {"additionalProperties", shape.is_open}};
  if (!required.empty()) schema["required"] = required;
  return schema;
}

}  // namespace

std::string member_path(const std::string& parent, std::string_view name) {
  return parent.empty() ? std::string(name) : fmt::format("{}.{}", parent, name);
}

std::string element_path(const std::string& parent, std::size_t index) { return fmt::format("{}[{}]", parent, index); }

void check_shape(const json& value, const Member& member, const std::string& file, const std::string& path,
                 std::vector<Finding>& findings) {
  Checker(file, findings).check(value, member, path);
}

std::string json_schema(const Shape& shape, const std::string& title, const std::string& description) {
  ordered_json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}, {"description", description}};
  schema.update(to_schema(shape));
  return schema.dump(2) + "\n";
}

json parse_json(std::string_view text, const std::string& file, std::vector<Finding>& findings) {
  if (is_nested_deeper(text)) {
    findings.push_back({file, "", fmt::format("nests more than {} levels deep", most_json_depth)});
    return json(json::value_t::discarded);
  }
  std::vector<std::set<std::string>> open_objects;
  const auto watch_names = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second)
      findings.push_back({file, parsed.get<std::string>(), "is given twice in one object"});
    return true;
  };
  try {
    return json::parse(text, watch_names);
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: ...": the part in brackets says nothing.
    std::string_view message = error.what();
    const auto bracket = message.find("] ");
    if (bracket != std::string_view::npos) message.remove_prefix(bracket + 2);
    findings.push_back({file, "", fmt::format("is not JSON: {}", escape_for_terminal(message))});
    return json(json::value_t::discarded);
  }
}

}  // namespace bale::config
