#include "jobs/bucket/brakes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::bucket {

std::uint64_t MarkLimit::of(std::uint64_t copies) const noexcept {
  return std::max(count, static_cast<std::uint64_t>(static_cast<double>(copies) * percent / 100));
}

MarkLimit parse_mark_limit(std::string_view text) {
  const bool is_percent = text.ends_with('%');
  const std::string_view digits = text.substr(0, text.size() - (is_percent ? 1 : 0));
  std::uint64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool is_number = !digits.empty() && read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  if (!is_number || (is_percent && number > 100)) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no limit", escape_name(text)), "--max-deleted",
                "write a number of objects, or a percentage such as 25%");
  }
  return is_percent ? MarkLimit{0, static_cast<double>(number)} : MarkLimit{number, 0};
}

void check_source(const Listed& listed, bool is_allowed) {
  if (is_allowed || listed.sources > 0 || listed.copies == 0) return;
  throw Error(ErrorKind::precondition,
              fmt::format("the source is empty, and the destination has {} objects", listed.copies), {},
              "check the names of the buckets; --allow-empty-source accepts it")
      .with_code("EmptySource");
}

void check_marks(const Listed& listed, const MarkLimit& limit) {
  const std::uint64_t most = limit.of(listed.copies);
  if (listed.to_mark <= most) return;
  throw Error(
      ErrorKind::precondition,
      fmt::format("{} of {} copies would be marked as deleted; the limit is {}", listed.to_mark, listed.copies, most),
      {}, fmt::format("look at the list; --max-deleted {} accepts it", listed.to_mark))
      .with_code("TooManyDeleted");
}

}  // namespace bale::bucket
