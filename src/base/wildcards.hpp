// Names with wildcards, as a person writes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bale {

/// Matches the whole text: `*` stands for any bytes, '/' too, `?` for one, and `\*`, `\?` and `\\` for the second
/// character. Another backslash stands for itself.
bool wildcard_match(std::string_view pattern, std::string_view text) noexcept;
/// Whether a pattern of wildcard_match() has a `*` or `?` that stands for others.
bool has_wildcards(std::string_view pattern) noexcept;
/// The text that a pattern without wildcards matches.
std::string without_escapes(std::string_view pattern);
/// Texts that every match of a pattern has, and the pattern itself too: what lies between wildcards and backslashes.
std::vector<std::string> literals_of_wildcards(std::string_view pattern);

}  // namespace bale
