#include "base/filter_rules.hpp"

#include <optional>
#include <tuple>
#include <utility>

#include "base/text.hpp"

namespace bale {
namespace {

/// Bytes of the first character of `text`, which is not empty.
std::size_t character_length(std::string_view text) noexcept {
  for (const std::size_t length : {1u, 2u, 3u, 4u}) {
    if (length <= text.size() && is_utf8(text.substr(0, length))) return length;
  }
  return 1;
}

/// The set "[...]" at the start of `pattern`, with its brackets; empty when it has no end.
std::string_view leading_set(std::string_view pattern) noexcept {
  std::size_t at = 1;
  if (at < pattern.size() && pattern[at] == '!') ++at;
  if (at < pattern.size() && pattern[at] == ']') ++at;  // a ']' in the first place is a member
  const auto end = pattern.find(']', at);
  return end == std::string_view::npos ? std::string_view{} : pattern.substr(0, end + 1);
}

/// Whether `character` is in `set` ("[a-z]", "[!abc]"). UTF-8 sorts bytewise as its characters do.
bool in_set(std::string_view set, std::string_view character) noexcept {
  std::string_view members = set.substr(1, set.size() - 2);
  const bool negated = members.starts_with('!');
  if (negated) members.remove_prefix(1);
  while (!members.empty()) {
    const std::string_view first = members.substr(0, character_length(members));
    members.remove_prefix(first.size());
    std::string_view last = first;
    if (members.size() >= 2 && members[0] == '-') {
      members.remove_prefix(1);
      last = members.substr(0, character_length(members));
      members.remove_prefix(last.size());
    }
    if (character >= first && character <= last) return !negated;
  }
  return negated;
}

/// Takes one character off both when the head of `pattern`, which is no '*', allows it.
bool take_one(std::string_view& pattern, std::string_view& text) noexcept {
  const std::string_view character = text.substr(0, character_length(text));
  std::string_view head = pattern.substr(0, 1);
  bool matches = false;
  if (pattern.front() == '?') {
    matches = true;
  } else if (pattern.front() == '[' && !leading_set(pattern).empty()) {
    head = leading_set(pattern);
    matches = in_set(head, character);
  } else {
    head = pattern.substr(0, character.size());
    matches = head == character;
  }
  if (!matches) return false;
  pattern.remove_prefix(head.size());
  text.remove_prefix(character.size());
  return true;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  std::optional<std::pair<std::string_view, std::string_view>>
      resume;  // behind the last '*', and what it may still eat
  for (;;) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      resume = {pattern, text};
    } else if (pattern.empty() && text.empty()) {
      return true;
    } else if (pattern.empty() || text.empty() || !take_one(pattern, text)) {
      if (!resume || resume->second.empty()) return false;
      resume->second.remove_prefix(character_length(resume->second));
      std::tie(pattern, text) = *resume;
    }
  }
}

bool is_wanted(const std::vector<FilterRule>& rules, std::string_view relative_name) noexcept {
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    if (glob_match(rule->pattern, relative_name)) return rule->include;
  }
  return true;
}

}  // namespace bale
