// One section of a YAML file as a tree whose nodes know their line and column. Only the section is kept; the rest of
// the file is read through. The only code that sees yaml-cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/replication.hpp"

namespace bale::config {

/// The deepest nesting of sequences and mappings that is read.
inline constexpr std::size_t max_yaml_depth = 64;

/// A place in the text, from 1.
struct YamlMark {
  std::uint32_t line = 0, column = 0;
};

struct YamlMember;

/// A value of YAML. Scalars are text as it is spelt, without their quotes and escapes.
struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping };
  Kind kind = Kind::null;
  std::string text;
  bool is_quoted = false;  ///< of a scalar: it is a string, whatever it looks like
  YamlMark mark;
  std::vector<YamlNode> elements;
  std::vector<YamlMember> members;  ///< each name once
};

/// A member of a mapping.
struct YamlMember {
  std::string name;
  YamlMark mark;  ///< of the name
  YamlNode value;
};

/// Reads the member `section` of the mapping that `text` is. Adds a Finding of `file` for everything that makes the
/// file or the section unreadable: text that is no YAML or no UTF-8, nests deeper than max_yaml_depth, is no mapping or
/// has more than one document; in the section anchors, aliases, tags, names that are not plain text or that are given
/// twice. Returns nullopt when there is no such member or the file was not read to its end.
std::optional<YamlMember> read_yaml_section(std::string_view text, const std::string& file, std::string_view section,
                                            std::vector<Finding>& findings);

}  // namespace bale::config
