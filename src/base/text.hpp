// Text in the forms that protocols want: percent encoding, hex, base64, UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace bale {

/// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text) noexcept;
/// `text` with control characters (those that change the direction of writing, too), and bytes that are not UTF-8,
/// shown as \xNN: safe to print.
std::string escape_for_terminal(std::string_view text);
/// A name (of a file, an object, a bucket) as escape_for_terminal() shows it, and a backslash as two: no two names are
/// shown alike. What escape_for_terminal() makes of the result is the result.
std::string escape_name(std::string_view name);

/// Percent-encodes everything but A-Z a-z 0-9 - _ . ~, and '/' where `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash = false);
/// Decodes %XX; a '%' that is not followed by two hex digits stays. '+' stays.
std::string percent_decode(std::string_view text);
/// Form encoding (application/x-www-form-urlencoded) as S3 uses in event keys: space is '+'. '/' is kept.
std::string form_encode(std::string_view text);
/// Decodes '+' to a space, then %XX: the key of an S3 event.
std::string form_decode(std::string_view text);

std::string to_hex(ByteView bytes);
/// Throws Error{invalid} on odd length or a character that is no hex digit.
std::string from_hex(std::string_view hex);
std::string to_base64(ByteView bytes);
/// Throws Error{invalid} on anything that is not padded standard base64.
std::string from_base64(std::string_view base64);
/// How JSON, which is UTF-8 only, holds other bytes: `shown` is escape_for_terminal() of them, `base64` the bytes
/// themselves. Gives them back; nothing where the two are not such a pair, but texts that stand for themselves.
std::optional<std::string> bytes_behind(std::string_view shown, std::string_view base64);

/// Pieces between separators; "" gives one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string to_lower(std::string_view text);
/// The candidate that `text` was probably meant to be: at most a third of its characters away (inserted, left out,
/// exchanged, or swapped with their neighbour; at least 1, at most 3), the first of the nearest. Empty when none is
/// near.
std::string closest_match(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace bale
