// The table `catalog` of SQL: rows of the local index.
#pragma once

#include <array>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "catalog/index_file.hpp"
#include "sqlite/virtual_table.hpp"

namespace bale::catalog {

/// The columns of docs/format/catalog.md, and the partitions `year`, `month`, `day`, as Athena has them; maps and lists
/// are JSON texts here, and what a row lacks is NULL. `object_path MATCH text`: it contains the text, letters A-Z and
/// a-z being the same. Conditions on names are answered with the trigram index, and columns are decoded only where a
/// query looks at them. Not thread-safe.
class CatalogTable final : public sqlite::Table {
 public:
  /// Rows of one more index are the table's too, for queries that begin from now on; it is borrowed.
  void add(IndexFile& index) { indexes_.push_back(&index); }
  const std::vector<sqlite::Column>& columns() const override;
  std::unique_ptr<sqlite::Rows> rows(std::vector<sqlite::Condition> conditions) override;

 private:
  std::vector<IndexFile*> indexes_;
};

/// The columns that a record is made of.
inline constexpr const char* record_column_names[] = {
    "backup_file",  "backup_timestamp", "source_bucket", "source_prefix",  "object_name",   "object_path",
    "object_size",  "last_modified",    "current_since", "target_buckets", "source_region", "archive_bucket",
    "archive_key",  "archive_etag",     "event",         "version_id",     "sequencer",     "etag",
    "sha256",       "storage_class",    "headers",       "metadata",       "tags",          "frame_offset",
    "frame_length", "frame_skip"};
/// The place of a column that a query does not have: of current_since, which rows may lack.
inline constexpr int no_column = -1;
/// Where a query has each of them.
using RecordColumns = std::array<int, std::size(record_column_names)>;
/// All of them, for SELECT.
std::string record_columns();

/// A record from the row of a query that begins with record_columns(), or has them elsewhere.
Record record_of(const sqlite::Query& row);
Record record_of(const sqlite::Query& row, const RecordColumns& columns);

/// A local index that SQL can ask: the tables `catalog` and `catalog_table_name` are the same. LIKE tells letters of
/// either case apart, as in Athena. Not thread-safe.
class CatalogDatabase {
 public:
  /// As IndexFile.
  CatalogDatabase(const std::filesystem::path& path, const std::string& catalog);
  IndexFile& file() noexcept { return file_; }
  /// Lets the tables have the rows of another catalog's index too; it is borrowed.
  void add(IndexFile& index) { table_.add(index); }
  sqlite::Database& sql() noexcept { return file_.database(); }

 private:
  IndexFile file_;
  CatalogTable table_;
};

}  // namespace bale::catalog
