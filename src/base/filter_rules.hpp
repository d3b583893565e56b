// Names that are wanted and names that are not: the rules of --include and --exclude. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bale {

/// Matches the shell pattern over the whole text: '*' any characters (also '/'), '?' one character, '[abc]' and '[a-z]'
/// one of these, '[!abc]' none of these; a '[' without ']' is itself. Characters are UTF-8, bytes where it is not.
bool glob_match(std::string_view pattern, std::string_view text) noexcept;

/// One --include or --exclude.
struct FilterRule {
  bool include = false;
  std::string pattern;
};
/// Whether a name (relative to the source) is wanted: everything is, unless a rule says otherwise; the last rule that
/// matches decides.
bool is_wanted(const std::vector<FilterRule>& rules, std::string_view relative_name) noexcept;

}  // namespace bale
