// Tables that SQL can ask, and whose rows come from the program instead of from the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sqlite/database.hpp"

namespace bale::sqlite {

enum class ColumnType { text, integer };

struct Column {
  std::string name;
  ColumnType type = ColumnType::text;
};

/// What a row has in a column; the text is borrowed until the rows move on. monostate: NULL.
using Value = std::variant<std::monostate, std::int64_t, std::string_view>;

enum class Comparison { equal, less, less_or_equal, greater, greater_or_equal, like, glob, match };

/// A condition that the rows of a query must meet. SQLite asks every row once more: a table may let rows through that
/// do not meet it, but must keep all that do. What MATCH means is the table's own affair: SQLite does not ask again.
struct Condition {
  int column = 0;  ///< -1: the row's number
  Comparison comparison = Comparison::equal;
  std::variant<std::int64_t, std::string> value;  ///< of the column's type
};

/// The rows of one query. Used by one thread.
class Rows {
 public:
  virtual ~Rows() = default;
  /// Moves to the next row, the first time to the first; false after the last.
  virtual bool next() = 0;
  virtual Value value(int column) = 0;
  virtual std::int64_t row_number() = 0;
};

/// A table. Its methods are called by the thread that uses the database; what they throw, the query throws.
class Table {
 public:
  virtual ~Table() = default;
  virtual const std::vector<Column>& columns() const = 0;
  /// Rows that could meet all `conditions`.
  virtual std::unique_ptr<Rows> rows(std::vector<Condition> conditions) = 0;
};

/// Lets queries of the database name the table, for as long as both live; the table is borrowed. `name` is in lower
/// case. LIKE and GLOB reach the table only where they compare with a text that is known.
void add_table(Database& database, const std::string& name, Table& table);

}  // namespace bale::sqlite
