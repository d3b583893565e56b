// Limits that stop a run before it does harm. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bale::bucket {

/// How many copies one run may mark as deleted.
struct MarkLimit {
  /// At least this many may be marked, however few copies there are.
  std::uint64_t count = 1000;
  /// Percent of the copies that may be marked.
  double percent = 10;

  /// Returns how many of `copies` may be marked: the larger of both.
  std::uint64_t of(std::uint64_t copies) const noexcept;
};

/// Reads "500" (so many) or "25%" (of the copies). Throws Error{invalid}.
MarkLimit parse_mark_limit(std::string_view text);

/// What the two listings had, as far as a brake looks at it.
struct Listed {
  std::uint64_t sources = 0;  ///< objects of the source
  std::uint64_t copies = 0;   ///< objects of the destination
  std::uint64_t to_mark = 0;  ///< copies without a source that are not known to be marked
};

/// Throws Error{precondition} where the source is empty and the destination is not, unless `is_allowed`.
void check_source(const Listed& listed, bool is_allowed);
/// Throws Error{precondition} where more copies would be marked than the limit allows.
void check_marks(const Listed& listed, const MarkLimit& limit);

}  // namespace bale::bucket
