// Rows of a query, as a table for people, as CSV or as lines of JSON: whoever answered it, SQLite or Athena.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "cli/context.hpp"

namespace bale::cli {

enum class ResultFormat {
  table,  ///< aligned columns; NULL is shown as NULL
  csv,    ///< RFC 4180 with a line of names; NULL is an empty field, an empty string is ""
  jsonl,  ///< one object a row, its members in the order of the columns
};
/// "table", "csv", "jsonl"; absent for another word.
std::optional<ResultFormat> parse_result_format(std::string_view word) noexcept;

/// A column as the engine describes it.
struct ResultColumn {
  std::string name;
  std::string type;  ///< "bigint", "varchar", "decimal(10,2)", ...; in any case of letters; empty: text
};
/// What a type's values are: decides the side of a table's column and the form of JSON.
enum class ResultKind { text, number, boolean };
/// By SQL's names of types, those of Athena and of SQLite; what is not known is text.
ResultKind kind_of_type(std::string_view type) noexcept;

/// Absent: NULL.
using ResultValue = std::optional<std::string>;
using ResultRow = std::vector<ResultValue>;

struct ResultOptions {
  ResultFormat format = ResultFormat::table;
  /// jsonl: a first member "type" with this value, where no column has that name; empty: none.
  std::string line_type;
  /// table: so many rows, or bytes of cells, are kept to find the widths of the columns. From then on rows go out as
  /// they come, in those widths; a wider cell moves the rest of its line to the right, and nothing is cut.
  std::size_t rows_kept = 10'000;
  ByteCount bytes_kept = 16 << 20;
};

/// Takes the columns, then rows, and writes them to standard output; CSV and JSON as they come, in pieces of 64 KiB.
/// Table rows are not shown with --quiet, the other formats are what was asked for and always are. Not thread-safe; the
/// context is borrowed. Everything throws as os::Terminal::out does.
class ResultWriter {
 public:
  ResultWriter(Context& context, ResultOptions options);
  ResultWriter(const ResultWriter&) = delete;
  ResultWriter& operator=(const ResultWriter&) = delete;

  /// Once, before the first row. In JSON a column without a name is "_col0" (by its place, from 0, as in Athena), and
  /// the second of two with one name gets "_2" behind it.
  void begin(std::vector<ResultColumn> columns);
  /// One value a column: a shorter row is filled with NULL. Throws Error{internal} for a longer one. A value of a
  /// number column becomes a JSON number digit by digit, and a string where JSON has no such number (NaN).
  void add(ResultRow row);
  /// After the last row: writes what is kept. Without it, rows are missing.
  void finish();

  /// Rows so far.
  std::uint64_t rows() const noexcept { return rows_; }

 private:
  void write(std::string_view text);
  void flush();
  void keep(const ResultRow& row);
  void write_kept();
  std::string table_line(const std::vector<std::string>& cells) const;
  std::string json_line(const ResultRow& row) const;

  Context& context_;
  const ResultOptions options_;
  std::vector<ResultColumn> columns_;
  std::vector<ResultKind> kinds_;
  std::vector<std::string> json_names_;  ///< quoted, each with its colon
  std::uint64_t rows_ = 0;
  std::string pending_;  ///< text that is not written yet
  // Of a table.
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> kept_;
  ByteCount kept_bytes_ = 0;
  bool is_streaming_ = false;
};

}  // namespace bale::cli
