// Statements that make catalogs tables of Athena (engine version 3), without a crawler. Pure and deterministic. See
// docs/athena.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"

namespace bale::catalog {

/// What one catalog directory is of.
struct AthenaSource {
  BucketName bucket;
  std::string prefix;  ///< without trailing '/'; empty: the whole bucket
  /// In catalogs of the replaced program, the source's region: the first component of their directories. Else empty.
  Region leading;
  friend auto operator<=>(const AthenaSource&, const AthenaSource&) = default;
};

/// Years of backups, both included. Partitions outside of them are not seen.
struct YearRange {
  int first = 0, last = 0;
};

/// The view over the tables of all sources: the table's name in `bale catalog sql`, too.
constexpr std::string_view athena_view_name = "catalog";

/// "{stack}_catalog_db" in lower case, which is all that Athena has.
std::string athena_database_name(std::string_view stack);

/// A table's name for each source, in their order: its directory with everything but a-z and 0-9 as '_', several of
/// which are one ("camera_raw_2025", "eu_central_1_camera_raw_2025"). Names that would be equal, that are
/// athena_view_name, or that had to be cut to the 255 bytes of Glue have "_" and hex digits of the SHA-256 of the
/// directory behind them, all of them: 8 digits, or more where those are equal too. `sources` has no two equal ones.
std::vector<std::string> athena_table_names(const std::vector<AthenaSource>& sources);

/// A source's directory in a catalog: "{source_bucket}/{prefix}", after "{leading}/" where there is one.
std::string athena_directory(const AthenaSource& source);
/// "s3://{catalog}/{directory}/".
std::string athena_location(const BucketName& catalog, const AthenaSource& source);

// Statements, without a semicolon at their end. Names are quoted and text is escaped.

std::string create_database_statement(std::string_view database);

/// The table of one source: every member of docs/format/catalog.md as a column, and the partitions year, month and day,
/// which Athena works out for itself. Throws Error{unsupported} for a prefix that it cannot have in a location: with
/// "//", a leading '/', "${" or control characters.
std::string create_table_statement(std::string_view database, std::string_view table, const BucketName& catalog,
                                   const AthenaSource& source, YearRange years);

/// A view with the rows of all `tables` (not empty).
std::string create_view_statement(std::string_view database, const std::vector<std::string>& tables);

}  // namespace bale::catalog
