// The shape of a JSON file as a table: one table both checks a file and prints its JSON Schema, so that they agree.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/replication.hpp"

namespace bale::config {

struct Shape;

/// A member of an object, or an element of an array.
struct Member {
  /// `other`: what it may be is checked elsewhere; `schema` says it to editors.
  enum class Type { string, boolean, integer, object, array, string_map, other };

  std::string name;
  Type type = Type::string;
  bool required = false;
  std::string description;
  // Strings
  std::vector<std::string> choices;  ///< the only values; empty: any
  std::string pattern;               ///< regular expression (ECMAScript), anchored; empty: any
  std::string allowed;               ///< what the pattern stands for, in words: "12 digits"
  // Integers
  std::int64_t least = 0, most = 0;
  // Objects: their members; arrays: their elements (of which `name`, `required` and `description` do not count)
  const Shape* shape = nullptr;
  std::shared_ptr<const Member> element;
  std::size_t least_elements = 0;
  // Others
  std::string schema;  ///< JSON Schema, as JSON text
};

/// An object: the members it may have, and no others.
struct Shape {
  std::vector<Member> members;
  bool is_open = false;  ///< others are passed over
};

/// Checks `value` against `member`, adding a Finding of `file` for everything that is wrong. `path` is where the value
/// is ("a.b[1]"; "" is the top). In an optional member an empty string is the same as absence.
void check_shape(const nlohmann::json& value, const Member& member, const std::string& file, const std::string& path,
                 std::vector<Finding>& findings);

/// JSON Schema (draft 2020-12) of an object of this shape, indented by two spaces, ended with a newline.
std::string json_schema(const Shape& shape, const std::string& title, const std::string& description);

/// Parses the JSON text of a configuration file. Adds a Finding and returns a discarded value if it is not JSON or
/// nests deeper than `most_json_depth`; adds a Finding for each name that one object gives twice.
nlohmann::json parse_json(std::string_view text, const std::string& file, std::vector<Finding>& findings);

/// The shapes of the two files, made on first use. Thread-safe.
const Shape& settings_shape();
const Shape& replication_shape();

/// "parent.name", or only the name at the top.
std::string member_path(const std::string& parent, std::string_view name);
std::string element_path(const std::string& parent, std::size_t index);

}  // namespace bale::config
