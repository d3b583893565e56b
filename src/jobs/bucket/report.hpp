// Findings and failures as JSON lines: what `compare --report` writes and `backup --from-report` reads. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "jobs/bucket/compare.hpp"

namespace bale::bucket {

/// {"type":"evidence","key":..,"verdict":..,"by":..,"left":{..},"right":{..}}: sides that are there, with size, etag
/// and last_modified. `key` is `prefix`, the prefix of the source, and the name. A key that is not UTF-8 is shown
/// escaped, and "key_base64" has its bytes.
nlohmann::ordered_json to_json(const Finding& finding, std::string_view prefix);

/// {"type":"failure","key":..,"kind":..,"code":..,"message":..}.
nlohmann::ordered_json to_json(std::string_view key, const Error& error);

/// Returns the key that a line of such a report asks to be copied: of a failure, or of evidence whose verdict is
/// missing, differs or unknown. Nullopt for every other line of JSON. Throws Error{invalid} for what is no JSON object,
/// and for a line of one of the two types without a key.
std::optional<std::string> key_to_copy(std::string_view line);

}  // namespace bale::bucket
