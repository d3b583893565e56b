// Which bytes of which archives have to be read. Pure.
#pragma once

#include <vector>

#include "archive/located_range.hpp"
#include "base/names.hpp"
#include "catalog/archive_buckets.hpp"
#include "catalog/record_list.hpp"

namespace bale::recover {

/// What is wanted of one archive.
struct ArchivePlan {
  std::vector<ObjectAddress> copies;  ///< where the records say that it is, as far as allowed; the first is asked first
  std::vector<std::size_t> records;   ///< indices into the records whose place in the archive is known
  std::vector<archive::LocatedRange> ranges;  ///< their objects are indices into the list of all records
  std::vector<std::size_t> unplaced;          ///< indices of records without a place: the archive has to be opened
  /// Bytes of its ranges together.
  ByteCount range_bytes() const noexcept;
};

/// Returns the archives that hold the records `wanted`, by bucket and key. `wanted` are indices into `records`; each of
/// these has a place that `buckets` allows.
std::vector<ArchivePlan> plan_restore(const catalog::RecordList& records, const std::vector<std::size_t>& wanted,
                                      const archive::RangeLimits& limits, const catalog::ArchiveBuckets& buckets);

/// What the record says of its object, for a reader that knows the archive alone. Throws nothing but std::bad_alloc;
/// record.location must be set.
archive::LocatedObject located(const catalog::Record& record);

}  // namespace bale::recover
