#include "catalog/partitions.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "catalog/scan.hpp"

namespace bale::catalog {
namespace {

/// Clocks that are kept by NTP differ by far less.
constexpr std::chrono::hours clock_difference{1};

}  // namespace

std::optional<TimePoint> partition_time(const ObjectKey& catalog_file) {
  const std::string day = partition_day(catalog_file);
  if (day.empty()) return std::nullopt;
  try {
    return parse_time(day);
  } catch (const Error&) {
    return std::nullopt;  // "2025-02-31"
  }
}

TimePoint first_open_day(const PresentTimes& times) {
  TimePoint present = times.machine;
  if (times.newest_partition) present = std::min(present, *times.newest_partition);
  if (times.newest_stored) present = std::min(present, *times.newest_stored);
  return present - open_partitions;
}

bool is_in_future(TimePoint partition, TimePoint stored, TimePoint now) {
  if (partition > now + clock_difference) return true;
  return stored != TimePoint{} && partition > stored + clock_difference;
}

}  // namespace bale::catalog
