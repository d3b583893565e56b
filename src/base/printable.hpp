// What of foreign text may be shown: control characters are escaped, secrets of URLs are left out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bale {

/// Returns the length of the well-formed UTF-8 sequence at the start of `text`, which must not be empty. Returns 0 if
/// `text` does not start with such a sequence.
std::size_t utf8_length(std::string_view text) noexcept;

/// Returns true if `text`, well-formed UTF-8 that is not empty, begins with a character that moves the cursor, ends a
/// line, or turns around what follows it: with those of Unicode
/// (https://www.unicode.org/reports/tr9/#Directional_Formatting_Codes) "gpj.exe" is shown as "exe.jpg".
bool begins_with_control(std::string_view text) noexcept;

/// Returns text of several lines with everything escaped as escape_for_terminal() does, apart from line ends and tabs.
/// Escaping twice changes nothing more.
std::string escape_lines(std::string_view text);

/// Returns JSON text with those control characters as \uXXXX that JSON allows inside strings: DEL, those of C1, and
/// those that change the direction of writing. The value stays the same.
std::string escape_json(std::string_view json);

/// Returns a URL, or what was given as one, without its secrets: user and password, and the values of its query, are
/// "***". Everything before the last '@' counts as user and password, whatever the rest looks like. Control characters
/// are escaped. For messages that name a URL of the configuration.
std::string redact_url(std::string_view url);

/// Returns text with the secrets of http and https URLs in it as "***": user and password, and signatures and tokens of
/// presigned requests. For messages whose text comes from elsewhere.
std::string redact_secrets(std::string_view text);

}  // namespace bale
