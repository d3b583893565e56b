#include "base/wildcards.hpp"

#include <utility>

namespace bale {
namespace {

/// Whether the pattern begins with a backslash that escapes the next character.
bool starts_with_escape(std::string_view pattern) noexcept {
  return pattern.size() >= 2 && pattern[0] == '\\' && (pattern[1] == '*' || pattern[1] == '?' || pattern[1] == '\\');
}

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    const bool is_escape = starts_with_escape(pattern.substr(p));
    const std::size_t at = is_escape ? p + 1 : p;  // of the character that is to match
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (at < pattern.size() && ((pattern[at] == '?' && !is_escape) || pattern[at] == text[t])) {
      p = at + 1;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool has_wildcards(std::string_view pattern) noexcept {
  while (!pattern.empty()) {
    if (pattern[0] == '*' || pattern[0] == '?') return true;
    pattern.remove_prefix(starts_with_escape(pattern) ? 2 : 1);
  }
  return false;
}

std::string without_escapes(std::string_view pattern) {
  std::string text;
  while (!pattern.empty()) {
    if (starts_with_escape(pattern)) pattern.remove_prefix(1);
    text += pattern[0];
    pattern.remove_prefix(1);
  }
  return text;
}

std::vector<std::string> literals_of_wildcards(std::string_view pattern) {
  std::vector<std::string> found;
  std::string literal;
  const auto end = [&] {
    if (!literal.empty()) found.push_back(std::exchange(literal, {}));
  };
  while (!pattern.empty()) {
    const bool is_special = pattern[0] == '*' || pattern[0] == '?' || pattern[0] == '\\';
    if (is_special) end();
    if (!is_special) literal += pattern[0];
    pattern.remove_prefix(starts_with_escape(pattern) ? 2 : 1);
  }
  end();
  return found;
}

}  // namespace bale
