// How much was backed up when.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "catalog/index_file.hpp"

namespace bale::catalog {

/// Totals of one source in one period.
struct PeriodTotals {
  BucketName source_bucket;
  std::string source_prefix;
  std::string period;  ///< "2025-01-23", "2025-01", or empty: all time
  std::uint64_t objects = 0, deletions = 0, archives = 0;
  ByteCount bytes = 0;         ///< of the objects whose rows say their size
  std::uint64_t unsized = 0;   ///< objects whose rows do not say their size
  std::uint64_t unplaced = 0;  ///< objects of archives without random access: what they take there is not known
  ByteCount packed = 0;        ///< compressed bytes of the frames that hold the objects
};

enum class Period { day, month, all };

/// By source, then period. Backups of the same version count each: they take their space each. Throws Error{cancelled}
/// after a stop.
std::vector<PeriodTotals> totals_of(const std::vector<IndexFile*>& indexes, Period period,
                                    const std::stop_token& stop = {});

}  // namespace bale::catalog
