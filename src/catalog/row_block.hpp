// Rows of the local index, column by column: about a thousand rows are one block. Pure.
//
// A block's column is decoded only when a query looks at it, and a column that is the same in all rows of a block (the
// archive, the day, the source) is one value. See docs/format/catalog-index.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/record.hpp"

namespace bale::catalog {

/// The most rows of a block. A catalog file of a full batch has as many.
inline constexpr std::size_t most_block_rows = 1024;

/// What is stored of a row. Their numbers are part of the format.
enum class StoredColumn : std::uint8_t {
  file,  ///< number of the catalog file; 0: the row is no more
  backup_time,
  last_modified,
  object_size,  ///< unknown_size where the row does not say it
  deleted,
  frame_offset,  ///< and the next two: plus 1; 0 where the row has no place
  frame_length,
  frame_skip,
  object_path,
  object_name,
  source_bucket,
  source_prefix,
  backup_file,
  target_buckets,
  source_region,
  archive_bucket,
  archive_key,
  version_id,
  sequencer,
  etag,
  sha256,
  storage_class,
  headers,
  metadata,
  tags,
  day,  ///< of the partition: "YYYY-MM-DD"
  archive_etag,
  current_since,  ///< a number; 0 where the row has none. Blocks of earlier versions lack the column
};
inline constexpr std::size_t stored_columns = static_cast<std::size_t>(StoredColumn::current_since) + 1;
/// Columns before object_path are numbers, the others texts but the last.
constexpr bool is_number(StoredColumn column) noexcept {
  return column < StoredColumn::object_path || column == StoredColumn::current_since;
}

/// The value of StoredColumn::object_size where a row does not say its object's size.
inline constexpr std::int64_t unknown_size = -1;

/// A row, and where it was read.
struct IndexedRow {
  Record record;
  std::int64_t file = 0;
  std::string day;
};

/// Numbers of a column, by row.
class NumberColumn {
 public:
  explicit NumberColumn(std::vector<std::int64_t> values) : values_(std::move(values)) {}
  /// Whether all rows have the same.
  bool constant() const noexcept { return values_.size() == 1; }
  std::int64_t at(std::size_t row) const noexcept { return values_[constant() ? 0 : row]; }

 private:
  std::vector<std::int64_t> values_;
};

/// Texts of a column, by row.
class TextColumn {
 public:
  /// `ends[i]` is the end of text i in `bytes`; one for all rows where it has one element.
  TextColumn(std::string bytes, std::vector<std::uint32_t> ends) : bytes_(std::move(bytes)), ends_(std::move(ends)) {}
  bool constant() const noexcept { return ends_.size() == 1; }
  std::string_view at(std::size_t row) const noexcept {
    if (constant()) return bytes_;
    const std::uint32_t begin = row == 0 ? 0 : ends_[row - 1];
    return std::string_view(bytes_).substr(begin, ends_[row] - begin);
  }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

using EncodedColumns = std::array<std::string, stored_columns>;

/// 1 to most_block_rows rows. Deterministic.
EncodedColumns encode_rows(std::span<const IndexedRow> rows);
/// Numbers as they stand in a block of `rows` rows. Throws Error{corrupt} where `encoded` is not that.
NumberColumn decode_numbers(std::string_view encoded, std::size_t rows);
/// Likewise texts.
TextColumn decode_texts(std::string_view encoded, std::size_t rows);
/// Numbers, encoded anew: for a column of which some rows changed.
std::string encode_numbers(std::span<const std::int64_t> values);
/// Whether a column of object names says that each is the last component of its row's path.
bool is_derived(std::string_view encoded) noexcept;

}  // namespace bale::catalog
