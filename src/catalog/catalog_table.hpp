// The table `catalog` of SQL: rows of the local index.
#pragma once

#include <memory>
#include <vector>

#include "catalog/index_file.hpp"
#include "sqlite/virtual_table.hpp"

namespace bale::catalog {

/// The columns of docs/format/catalog.md, and the partitions `year`, `month`, `day`, as Athena has them; maps and lists
/// are JSON texts here, and what a row lacks is NULL. Conditions on names are answered with the trigram index, and
/// columns are decoded only where a query looks at them. Not thread-safe; borrows the index.
class CatalogTable final : public sqlite::Table {
 public:
  explicit CatalogTable(IndexFile& index) : index_(index) {}
  const std::vector<sqlite::Column>& columns() const override;
  std::unique_ptr<sqlite::Rows> rows(std::vector<sqlite::Condition> conditions, std::uint64_t columns_used) override;

  /// A row by the number that SQL calls rowid. Throws Error{corrupt} for a number that no row has.
  Record record(std::int64_t row_number);

 private:
  IndexFile& index_;
  std::shared_ptr<BlockReader> last_read_;
};

}  // namespace bale::catalog
