#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace bale {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view hex_upper = "0123456789ABCDEF";

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

void append_percent(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += hex_upper[byte >> 4];
  out += hex_upper[byte & 15];
}

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

namespace {

/// Control characters, what is not UTF-8, and `also` (a printable ASCII character; 0: none) are escaped.
std::string escape(std::string_view text, char also) {
  const auto is_plain = [also](char c) { return c >= 0x20 && c < 0x7F && c != also; };
  const auto plain = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
  std::string out(text.substr(0, plain));  // most names are plain from end to end
  text.remove_prefix(plain);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0 || begins_with_control(text)) {
      const std::size_t escaped = std::max<std::size_t>(length, 1);
      for (const char c : text.substr(0, escaped)) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      text.remove_prefix(escaped);
    } else if (also != 0 && text[0] == also) {
      out.append({'\\', also});
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace

std::string escape_for_terminal(std::string_view text) { return escape(text, 0); }

std::string escape_name(std::string_view name) { return escape(name, '\\'); }

std::string percent_encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || (c == '/' && keep_slash))
      out += c;
    else
      append_percent(out, c);
  }
  return out;
}

std::string percent_decode(std::string_view text) { return decode(text, /*plus_is_space=*/false); }

std::string form_encode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == ' ')
      out += '+';
    else if (is_unreserved(c) || c == '/' || c == '*')
      out += c;
    else
      append_percent(out, c);
  }
  return out;
}

std::string form_decode(std::string_view text) { return decode(text, /*plus_is_space=*/true); }

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out += hex_digits[std::to_integer<unsigned>(b) >> 4];
    out += hex_digits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

std::string from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) throw Error(ErrorKind::invalid, "hex text of odd length");
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) throw Error(ErrorKind::invalid, "a character that is no hex digit");
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < n ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) out += j <= n ? base64_alphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string from_base64(std::string_view base64) {
  const auto fail = [] { return Error(ErrorKind::invalid, "text that is not base64"); };
  if (base64.size() % 4 != 0) throw fail();
  std::string out;
  for (std::size_t i = 0; i < base64.size(); i += 4) {
    const bool last = i + 4 == base64.size();
    std::size_t padding = 0;
    if (last) padding = base64[i + 3] != '=' ? 0 : base64[i + 2] != '=' ? 1 : 2;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const auto value = j >= 4 - padding ? 0 : base64_alphabet.find(base64[i + j]);
      if (value == std::string_view::npos) throw fail();
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t j = 0; j < 3 - padding; ++j) out += static_cast<char>(group >> (16 - 8 * j) & 255);
  }
  return out;
}

std::optional<std::string> bytes_behind(std::string_view shown, std::string_view base64) {
  try {
    std::string bytes = from_base64(base64);
    if (!is_utf8(bytes) && escape_for_terminal(bytes) == shown) return bytes;
  } catch (const Error&) {
    // Not base64: a text of its own.
  }
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (;;) {
    const auto at = text.find(separator);
    pieces.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return pieces;
    text.remove_prefix(at + 1);
  }
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

namespace {

/// Edit distance with swaps of neighbours (optimal string alignment), bytewise and without regard to case.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string closest_match(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest = 200;  // nobody mistypes a text of this length by a few characters
  if (text.empty() || text.size() > longest) return {};
  std::size_t least = std::clamp<std::size_t>(text.size() / 3, 1, 3) + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > longest) continue;
    const std::size_t distance = edit_distance(to_lower(text), to_lower(candidate));
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace bale
