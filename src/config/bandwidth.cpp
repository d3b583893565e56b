// Limits of bandwidth by the time of day: their texts, and which of them holds when.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/raw.hpp"

namespace bale::config {
namespace {

using std::chrono::minutes;

constexpr minutes day = std::chrono::hours(24);

/// "08:00" to "24:00".
std::optional<minutes> parse_time_of_day(std::string_view text) {
  const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : -1000; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hours = 10 * digit(0) + digit(1), past = 10 * digit(3) + digit(4);
  const minutes time = std::chrono::hours(hours) + minutes(past);
  if (hours < 0 || past < 0 || past >= 60 || time > day) return std::nullopt;
  return time;
}

}  // namespace

std::optional<ByteCount> BandwidthSchedule::limit_at(std::chrono::seconds time_of_day) const {
  for (const Period& period : periods) {
    const bool is_within_day = period.from < period.to;
    const bool holds = is_within_day ? time_of_day >= period.from && time_of_day < period.to
                                     : time_of_day >= period.from || time_of_day < period.to;
    if (holds) return period.bytes_per_second;
  }
  return std::nullopt;
}

bool BandwidthSchedule::is_unlimited() const noexcept {
  return std::none_of(periods.begin(), periods.end(),
                      [](const Period& one) { return one.bytes_per_second.has_value(); });
}

std::optional<ByteCount> parse_bandwidth(std::string_view text) {
  if (text == "unlimited") return std::nullopt;
  const Error refused(ErrorKind::invalid,
                      fmt::format("\"{}\" is not a size per second, such as 20MB or 500KiB/s, nor \"unlimited\"",
                                  escape_for_terminal(text)));
  if (text.ends_with("/s")) text.remove_suffix(2);
  ByteCount bytes = 0;
  try {
    bytes = parse_bytes(text);
  } catch (const Error&) {
    throw refused;
  }
  if (bytes == 0) throw refused;
  return bytes;
}

BandwidthSchedule::Period parse_period(std::string_view text) {
  const auto parts = split(text, '-');
  if (parts.size() == 2) {
    const auto from = parse_time_of_day(parts[0]), to = parse_time_of_day(parts[1]);
    // 24:00 is an end; as a beginning it is no minute of the day.
    if (from && to && *from < day) return {*from, *to, std::nullopt};
  }
  throw Error(ErrorKind::invalid, fmt::format("\"{}\" is not a time of day from HH:MM to HH:MM, such as 08:00-18:00",
                                              escape_for_terminal(text)));
}

}  // namespace bale::config
