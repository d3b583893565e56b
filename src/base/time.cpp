#include "base/time.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale {
namespace {

struct Civil {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::milliseconds> time;
};

Civil civil(TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  return {std::chrono::year_month_day(day), std::chrono::hh_mm_ss<std::chrono::milliseconds>(time - day)};
}

std::string date_text(const Civil& c) {
  return fmt::format("{:04}-{:02}-{:02}", int(c.date.year()), unsigned(c.date.month()), unsigned(c.date.day()));
}

std::string clock_text(const Civil& c) {
  return fmt::format("{:02}:{:02}:{:02}", c.time.hours().count(), c.time.minutes().count(), c.time.seconds().count());
}

/// Reads exactly `digits` digits at the front of `text` and removes them; false if they are not there.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// The fraction behind the seconds, in milliseconds; further digits are dropped.
bool take_fraction(std::string_view& text, int& ms) {
  ms = 0;
  if (!take(text, '.')) return true;
  int digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
    if (digits < 3) ms = ms * 10 + (text.front() - '0');
  }
  if (digits == 0) return false;
  for (; digits < 3; ++digits) ms *= 10;
  return true;
}

bool take_zone(std::string_view& text, std::chrono::minutes& offset) {
  offset = {};
  if (text.empty() || take(text, 'Z')) return true;
  const bool minus = text.front() == '-';
  if (!minus && text.front() != '+') return false;
  text.remove_prefix(1);
  int hours = 0, minutes = 0;
  if (!take_number(text, 2, hours)) return false;
  take(text, ':');
  if (!take_number(text, 2, minutes)) return false;
  offset = std::chrono::minutes(hours * 60 + minutes) * (minus ? -1 : 1);
  return hours < 24 && minutes < 60;
}

}  // namespace

std::int64_t to_epoch_ms(TimePoint time) noexcept { return time.time_since_epoch().count(); }
TimePoint from_epoch_ms(std::int64_t ms) noexcept { return TimePoint(std::chrono::milliseconds(ms)); }

std::string to_iso8601(TimePoint time) {
  const Civil c = civil(time);
  return fmt::format("{}T{}.{:03}Z", date_text(c), clock_text(c), c.time.subseconds().count());
}

std::string to_timestamp(TimePoint time) {
  const Civil c = civil(time);
  return date_text(c) + " " + clock_text(c);
}

std::string to_date(TimePoint time) { return date_text(civil(time)); }

std::string to_http_date(TimePoint time) {
  constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil c = civil(time);
  const std::chrono::weekday weekday{std::chrono::sys_days(c.date)};
  return fmt::format("{}, {:02} {} {:04} {} GMT", days[weekday.c_encoding()], unsigned(c.date.day()),
                     months[unsigned(c.date.month()) - 1], int(c.date.year()), clock_text(c));
}

TimePoint parse_time(std::string_view whole) {
  const auto fail = [&] {
    return Error(ErrorKind::invalid, fmt::format("'{}' is not a time", escape_name(whole)), {},
                 "write for example 2025-01-23, '2025-01-23 09:05:07' or 2025-01-23T09:05:07Z");
  };
  std::string_view text = whole;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  std::chrono::minutes offset{};
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) || !take(text, '-') ||
      !take_number(text, 2, day)) {
    throw fail();
  }
  if (!text.empty()) {
    if (!take(text, 'T') && !take(text, ' ')) throw fail();
    if (!take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute)) throw fail();
    if (take(text, ':') && (!take_number(text, 2, second) || !take_fraction(text, ms))) throw fail();
    if (!take_zone(text, offset) || !text.empty()) throw fail();
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) throw fail();
  return TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(ms) - offset;
}

Milliseconds parse_duration(std::string_view text) {
  const auto fail = [&] {
    return Error(ErrorKind::invalid, fmt::format("'{}' is not a duration", escape_name(text)), {},
                 "write a whole number and a unit, for example 30s, 90m, 36h or 7d");
  };
  constexpr std::chrono::seconds most = std::chrono::days(36'525);
  const auto seconds_in = [&](char unit) -> std::int64_t {
    switch (unit) {
      case 's': return 1;
      case 'm': return 60;
      case 'h': return 3600;
      case 'd': return 86'400;
      default: throw fail();
    }
  };
  if (text.size() < 2) throw fail();
  const std::int64_t unit = seconds_in(text.back());
  std::int64_t number = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') throw fail();
    number = number * 10 + (c - '0');
    if (number * unit > most.count()) throw fail();
  }
  return std::chrono::seconds(number * unit);
}

std::string format_duration(Milliseconds duration) {
  const std::int64_t ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 59'950) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  const std::int64_t seconds = (ms + 500) / 1000;
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
}

std::optional<TimePoint> parse_http_date(std::string_view text) {
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::size_t length = 29;  // "Thu, 23 Jan 2025 09:05:07 GMT"
  if (text.size() != length || !text.ends_with(" GMT")) return std::nullopt;
  const std::size_t month = months.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  try {
    return parse_time(
        fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month / 3 + 1, text.substr(5, 2), text.substr(17, 8)));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace bale
