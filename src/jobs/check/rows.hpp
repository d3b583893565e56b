// The rows of a catalog file against the archive that they speak of. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/record.hpp"
#include "jobs/check/finding.hpp"

namespace bale::check {

/// The source object of a row.
ObjectAddress object_of(const catalog::Record& row);
std::vector<ObjectAddress> objects_of(const std::vector<catalog::Record>& rows);

/// Whether a row is as the replaced program writes it: it has none of the members that Bale adds.
bool is_of_reference(const catalog::Record& row) noexcept;

/// A row that is not what the archive says.
struct RowFinding {
  FindingType type;  ///< missing_row, surplus_row or different_row
  ObjectAddress object;
  std::string what;  ///< which member says what: "object_size is 10, in the archive 12"
};

struct RowComparison {
  std::vector<RowFinding> findings;
  /// By index into the expected rows: SHA-256 (hex) that the catalog has and the archive's manifest lacks.
  std::map<std::size_t, std::string> more_hashes;
};

/// Compares the rows of a file with those that catalog::make_records() gives for its archive. Rows of the replaced
/// program are compared in what they have, archive_etag in none; they may name a key several times, as its archives do.
RowComparison compare_rows(const std::vector<catalog::Record>& expected, const std::vector<catalog::Record>& found);

}  // namespace bale::check
