// Points in time and their spellings. No clock: see os/clock.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bale {

/// UTC, to the millisecond, as S3 and the archives store it.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;
using Milliseconds = std::chrono::milliseconds;

/// Milliseconds since 1970-01-01 UTC.
std::int64_t to_epoch_ms(TimePoint time) noexcept;
TimePoint from_epoch_ms(std::int64_t ms) noexcept;

/// "2025-01-23T09:05:07.123Z": S3 events and listings.
std::string to_iso8601(TimePoint time);
/// "2025-01-23 09:05:07" (UTC): creation_time of manifests and catalogs; Athena reads it as TIMESTAMP.
std::string to_timestamp(TimePoint time);
/// "2025-01-23".
std::string to_date(TimePoint time);
/// "Thu, 23 Jan 2025 09:05:07 GMT": HTTP headers.
std::string to_http_date(TimePoint time);
/// Reads "Thu, 23 Jan 2025 09:05:07 GMT". Returns nullopt for other text.
std::optional<TimePoint> parse_http_date(std::string_view text);

/// Reads "2025-01-23", "2025-01-23 09:05:07", "2025-01-23T09:05:07[.fraction][Z|+hh:mm]"; without a zone, UTC.
/// Throws Error{invalid} naming the text.
TimePoint parse_time(std::string_view text);

/// Reads "7d", "36h", "90m", "30s": a whole number and its unit, at most 100 years. Throws Error{invalid} naming the
/// text.
Milliseconds parse_duration(std::string_view text);

/// "950 ms", "12.3 s", "4 min 5 s", "2 h 3 min": for people.
std::string format_duration(Milliseconds duration);

}  // namespace bale
