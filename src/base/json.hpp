// Parsing of JSON text that someone else wrote, with a bound on how deep it nests.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace bale {

/// The deepest nesting of arrays and objects that is accepted. nlohmann::json copies, compares and prints a value
/// recursively, so that unbounded nesting overflows the stack. The deepest text that Bale needs is an item of DynamoDB:
/// 32 levels (its own limit), each of two JSON levels, inside an answer.
inline constexpr std::size_t most_json_depth = 128;

/// Returns true if arrays and objects of `text` nest deeper than `most`. Brackets inside strings do not count. Reads
/// the text once, allocates nothing, and accepts any bytes: it does not check that they are JSON.
bool is_nested_deeper(std::string_view text, std::size_t most = most_json_depth) noexcept;

/// Parses `text`. Returns a value whose is_discarded() is true if it is not JSON or nests deeper than
/// `most_json_depth`. Every text from outside (files, messages, answers of services) is parsed by this function, or
/// after is_nested_deeper() returned false.
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text) {
  if (is_nested_deeper(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace bale
