#include "base/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace bale {
namespace {

constexpr std::string_view hidden = "***";

/// Copies `text`, replacing control characters by what `show` makes of them, and bytes that are not UTF-8.
template <typename IsKept, typename Show>
std::string escape_controls(std::string_view text, const IsKept& is_kept, const Show& show) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    if (is_kept(character[0]) || (length != 0 && !begins_with_control(text)))
      out += character;
    else
      show(out, character);
    text.remove_prefix(character.size());
  }
  return out;
}

/// The code point of a well-formed character of up to three bytes: no control character has more.
unsigned code_point(std::string_view character) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return at(0);
  if (character.size() == 2) return (at(0) & 0x1Fu) << 6 | (at(1) & 0x3Fu);
  return (at(0) & 0x0Fu) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
}

/// Parameters of presigned requests (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html), of
/// their predecessors, and of other services. In lower case.
constexpr auto secret_parameters =
    std::to_array<std::string_view>({"x-amz-signature", "x-amz-security-token", "x-amz-credential", "signature",
                                     "awsaccesskeyid", "securitytoken", "access_token", "token", "password", "sig"});

/// A query with the values of secret parameters hidden.
std::string redact_query(std::string_view query) {
  std::string out;
  for (const std::string_view parameter : split(query, '&')) {
    if (!out.empty()) out += '&';
    const std::size_t equals = parameter.find('=');
    const std::string name = to_lower(parameter.substr(0, equals));
    const bool secret = std::find(secret_parameters.begin(), secret_parameters.end(), name) != secret_parameters.end();
    if (equals == std::string_view::npos || !secret)
      out += parameter;
    else
      out.append(parameter.substr(0, equals + 1)).append(hidden);
  }
  return out;
}

/// What follows "://" of a URL inside other text.
std::string redact_rest(std::string_view rest) {
  std::string out;
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    out += hidden;
    rest.remove_prefix(at);
  }
  const std::size_t question = rest.find('?');
  out += rest.substr(0, question);
  if (question != std::string_view::npos) out += "?" + redact_query(rest.substr(question + 1));
  return out;
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && at(1) < 0xA0) return 0;  // overlong
  if (first == 0xED && at(1) > 0x9F) return 0;  // surrogate
  if (first == 0xF0 && at(1) < 0x90) return 0;  // overlong
  if (first == 0xF4 && at(1) > 0x8F) return 0;  // beyond U+10FFFF
  return length;
}

bool begins_with_control(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto is_in = [](unsigned char byte, unsigned char first, unsigned char last) {
    return byte >= first && byte <= last;
  };
  if (at(0) < 0x80) return at(0) < 0x20 || at(0) == 0x7F;
  if (at(0) == 0xC2) return at(1) < 0xA0;
  if (at(0) == 0xD8) return at(1) == 0x9C;  // U+061C
  if (at(0) != 0xE2) return false;
  if (at(1) == 0x80) return is_in(at(2), 0x8E, 0x8F) || is_in(at(2), 0xA8, 0xAE);  // U+200E to 200F, 2028 to 202E
  return at(1) == 0x81 && is_in(at(2), 0xA6, 0xA9);                                // U+2066 to 2069
}

std::string escape_lines(std::string_view text) {
  return escape_controls(
      text, [](char c) { return c == '\n' || c == '\t'; },
      [](std::string& out, std::string_view character) {
        for (const char c : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      });
}

std::string escape_json(std::string_view json) {
  return escape_controls(
      json, [](char c) { return c == '\n' || c == '\t'; },
      [](std::string& out, std::string_view character) {
        const bool is_utf8 = utf8_length(character) != 0;
        out += fmt::format("\\u{:04x}", is_utf8 ? code_point(character) : 0xFFFDu);
      });
}

std::string redact_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  std::string out(url.substr(0, start));
  const std::size_t at = url.rfind('@');
  if (at != std::string_view::npos && at >= start) out += hidden;
  std::string_view rest = url.substr(at == std::string_view::npos || at < start ? start : at);
  const std::size_t question = rest.find('?');
  out += rest.substr(0, question);
  if (question != std::string_view::npos) out.append("?").append(hidden);
  return escape_for_terminal(out);
}

std::string redact_secrets(std::string_view text) {
  constexpr std::string_view separator = "://";
  std::string out;
  for (;;) {
    const std::size_t found = text.find(separator);
    if (found == std::string_view::npos) break;
    const std::string scheme =
        to_lower(text.substr(found - std::min<std::size_t>(found, 5), std::min<std::size_t>(found, 5)));
    out += text.substr(0, found + separator.size());
    text.remove_prefix(found + separator.size());
    if (!scheme.ends_with("http") && !scheme.ends_with("https")) continue;
    const std::string_view rest = text.substr(0, text.find_first_of(" \t\r\n\"'<>"));
    out += redact_rest(rest);
    text.remove_prefix(rest.size());
  }
  return out.append(text);
}

}  // namespace bale
