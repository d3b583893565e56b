// Which partitions of a catalog may have new files. The day in a key comes from the clock of the machine that packed
// the archive, and the present time from this machine's clock; either may be wrong. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::catalog {

/// Partitions this much older than the present are taken for closed.
inline constexpr std::chrono::days open_partitions{7};

/// Returns the beginning of the day of the partition that a catalog file lies in; absent where it lies in none, or the
/// partition is no day of the calendar.
std::optional<TimePoint> partition_time(const ObjectKey& catalog_file);

/// What is known of the present when a source's partitions are listed.
struct PresentTimes {
  TimePoint machine;                          ///< this machine's clock
  std::optional<TimePoint> newest_partition;  ///< of the source, as far as the index knows
  std::optional<TimePoint> newest_stored;     ///< the newest LastModified of a catalog file: the store's clock
};

/// Returns the first day whose partition may get new files: a week before the earliest of the times. One clock that is
/// ahead therefore closes no partition; one that is behind opens more.
TimePoint first_open_day(const PresentTimes& times);

/// Whether a partition lies in the future: its day begins more than an hour after the file was stored (by the store's
/// clock; TimePoint{} where it is not known) or after `now`.
bool is_in_future(TimePoint partition, TimePoint stored, TimePoint now);

}  // namespace bale::catalog
