// Times as people and programs write them.
#pragma once

#include <string_view>

#include "base/time.hpp"

namespace bale::cli {

/// Reads a time that a person gives: whatever parse_time() reads, and what `git log`, `date` and RFC 3339 write. These
/// are: 't' and 'z' in lower case; spaces before the zone ("2025-01-23 09:05:07 +0000"); zones "+02", "UTC" and "GMT";
/// a comma before the fraction; seconds since 1970 as "@1737623107", as 9 to 11 digits, or with a zone behind them,
/// which says nothing; "Thu, 23 Jan 2025 09:05:07 +0000" (RFC 5322); "Thu Jan 23 09:05:07 2025 +0000" and
/// "Thu Jan 23 09:05:07 UTC 2025", with AM or PM behind the clock too; "20250123T090507Z" and "2025-01-23T09+00:00". A
/// time without a zone is UTC. Throws Error{invalid}.
TimePoint parse_time_text(std::string_view text);

}  // namespace bale::cli
