#include "cli/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::cli {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_number(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

/// "+0000" of what stands for a time zone; absent for anything else.
std::optional<std::string> zone_of(std::string_view word) {
  const std::string lower = to_lower(word);
  if (lower == "z" || lower == "utc" || lower == "gmt") return "+0000";
  const bool is_signed = word.size() >= 3 && (word[0] == '+' || word[0] == '-');
  if (!is_signed) return std::nullopt;
  const std::string_view digits = word.substr(1);
  if (digits.size() == 2 && is_number(digits)) return std::string(word) + "00";
  const bool is_whole =
      (digits.size() == 4 && is_number(digits)) ||
      (digits.size() == 5 && digits[2] == ':' && is_number(digits.substr(0, 2)) && is_number(digits.substr(3)));
  return is_whole ? std::optional<std::string>(word) : std::nullopt;
}

/// The month of an English abbreviation, 1 to 12; 0 for anything else.
unsigned month_of(std::string_view word) {
  constexpr std::array<std::string_view, 12> months = {"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
  const auto found = std::find(months.begin(), months.end(), to_lower(word));
  return found == months.end() ? 0 : static_cast<unsigned>(found - months.begin()) + 1;
}

bool is_weekday(std::string_view word) {
  if (word.ends_with(',')) word.remove_suffix(1);
  constexpr std::array<std::string_view, 7> days = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  return std::find(days.begin(), days.end(), to_lower(word)) != days.end();
}

bool is_half_day(std::string_view word) {
  const std::string lower = to_lower(word);
  return lower == "am" || lower == "pm";
}

/// Makes "21:05:07" of "09:05:07" and PM. Returns false where the hour is not one of twelve.
bool to_24_hours(std::string& clock, bool is_afternoon) {
  if (clock.size() > 1 && clock[1] == ':') clock.insert(0, "0");
  unsigned hour = 0;
  const auto [end, error] = std::from_chars(clock.data(), clock.data() + std::min<std::size_t>(clock.size(), 2), hour);
  if (error != std::errc() || end != clock.data() + 2 || hour < 1 || hour > 12) return false;
  clock.replace(0, 2, fmt::format("{:02}", hour % 12 + (is_afternoon ? 12 : 0)));
  return true;
}

/// "2025-01-23T09:05:07Z" of "20250123T090507Z", and "2025-01-23T09:00+00:00" of "2025-01-23T09+00:00"; anything else
/// as it is.
std::string extended(std::string text) {
  const auto digits = [&](std::size_t at, std::size_t count) {
    return text.size() >= at + count && is_number(std::string_view(text).substr(at, count));
  };
  const bool is_basic = digits(0, 8) && text.size() > 8 && text[8] == 'T' && digits(9, 6);
  if (is_basic) {
    return fmt::format("{}-{}-{}T{}:{}:{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2), text.substr(9, 2),
                       text.substr(11, 2), text.substr(13));
  }
  constexpr std::size_t behind_hour = 13;
  const bool has_hour_alone = text.size() > behind_hour && text[10] == 'T' && digits(11, 2) &&
                              (text[behind_hour] == '+' || text[behind_hour] == '-' || text[behind_hour] == 'Z');
  return has_hour_alone ? text.insert(behind_hour, ":00") : text;
}

/// Seconds since 1970, "1737623107.5": of "@" followed by them, or of as many digits as no other form has.
std::optional<TimePoint> epoch_of(std::string_view word) {
  const bool is_marked = word.starts_with('@');
  if (is_marked) word.remove_prefix(1);
  const bool is_negative = is_marked && word.starts_with('-');
  if (is_negative) word.remove_prefix(1);
  const auto point = std::min(word.find_first_of(".,"), word.size());
  const std::string_view whole = word.substr(0, point);
  std::string fraction(point < word.size() ? word.substr(point + 1) : "0");
  if (!is_number(whole) || !is_number(fraction) || whole.size() > 11) return std::nullopt;
  if (!is_marked && (whole.size() < 9 || point < word.size())) return std::nullopt;
  fraction = (fraction + "00").substr(0, 3);
  std::int64_t seconds = 0, ms = 0;
  std::from_chars(whole.data(), whole.data() + whole.size(), seconds);
  std::from_chars(fraction.data(), fraction.data() + fraction.size(), ms);
  const std::int64_t all = seconds * 1000 + ms;
  return from_epoch_ms(is_negative ? -all : all);
}

/// "2025-01-23T09:05:07+0000" of "[Thu,] 23 Jan 2025 09:05:07 [zone]" or "Thu Jan 23 09:05:07 [zone] 2025 [zone]".
std::optional<std::string> iso_of_words(std::vector<std::string> words) {
  if (!words.empty() && is_weekday(words.front())) words.erase(words.begin());
  std::string year, day, clock, half, zone = "+0000";
  unsigned month = 0;
  for (const std::string& word : words) {
    const auto found_zone = zone_of(word);
    if (month_of(word) != 0 && month == 0)
      month = month_of(word);
    else if (is_number(word) && word.size() <= 2 && day.empty())
      day = word.size() == 1 ? "0" + word : word;
    else if (is_number(word) && word.size() == 4 && year.empty())
      year = word;
    else if (word.find(':') != std::string::npos && clock.empty() && !found_zone)
      clock = word;
    else if (is_half_day(word) && half.empty())
      half = to_lower(word);
    else if (found_zone)
      zone = *found_zone;
    else
      return std::nullopt;
  }
  if (month == 0 || day.empty() || year.empty() || clock.empty()) return std::nullopt;
  if (!half.empty() && !to_24_hours(clock, half == "pm")) return std::nullopt;
  return fmt::format("{}-{:02}-{}T{}{}", year, month, day, clock, zone);
}

/// The forms of ISO 8601 as parse_time() knows them: "2025-01-23t09:05:07,5 +02" is "2025-01-23T09:05:07.5+0200".
std::string plain_iso(const std::vector<std::string>& words) {
  std::string text = words[0];
  const bool has_clock_word = words.size() > 1 && is_digit(words[1][0]);
  if (has_clock_word) text += "T" + words[1];
  for (char& c : text) {
    if (c == 't') c = 'T';
    if (c == 'z') c = 'Z';
    if (c == ',') c = '.';
  }
  const std::size_t used = has_clock_word ? 2 : 1;
  if (words.size() == used) {
    // A zone of hours alone, which stands behind the clock's digits.
    const auto sign = text.size() >= 3 ? text.size() - 3 : 0;
    const bool is_short = text.find('T') < sign && (text[sign] == '+' || text[sign] == '-');
    if (!is_short) return text;
    const auto zone = zone_of(std::string_view(text).substr(sign));
    return zone ? text.substr(0, sign) + *zone : text;
  }
  if (words.size() > used + 1) return {};
  const auto zone = zone_of(words[used]);
  return zone ? text + *zone : std::string();
}

}  // namespace

TimePoint parse_time_text(std::string_view text) {
  const Error failure(ErrorKind::invalid, fmt::format("'{}' is not a time", escape_name(text)), {},
                      "write for example 2025-01-23, '2025-01-23 09:05:07 +0200', 2025-01-23T09:05:07Z or @1737623107");
  const std::vector<std::string> words = words_of(text);
  if (words.empty()) throw failure;
  const bool may_be_epoch = words.size() == 1 || (words.size() == 2 && zone_of(words[1]));
  if (may_be_epoch) {
    if (const auto time = epoch_of(words[0])) return *time;
  }
  const std::string iso = iso_of_words(words).value_or(plain_iso(words));
  try {
    return parse_time(extended(iso));
  } catch (const Error&) {
    throw failure;
  }
}

}  // namespace bale::cli
