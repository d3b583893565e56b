// Rows come back out of their columns as they went in, and damaged columns are noticed.
#include "catalog/row_block.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

TEST(RowBlock, NumbersComeBack) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         most = std::numeric_limits<std::int64_t>::max();
  for (const std::vector<std::int64_t>& values :
       {std::vector<std::int64_t>{0}, {7, 7, 7}, {1, 2, 3}, {-1, 0, 1}, {least, most, 0, most, least}}) {
    const NumberColumn column = decode_numbers(encode_numbers(values), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(column.at(i), values[i]);
  }
}

IndexedRow row(std::size_t i) {
  IndexedRow made;
  made.record.object_path = ObjectKey("dir/" + std::to_string(i * 7919) + "\xff");
  made.record.object_name = basename(made.record.object_path.str());
  made.record.object_size = i * i;
  if (i % 7 == 0) made.record.object_size.reset();
  if (i % 3 == 0) made.record.location = archive::MemberLocation{i, 0, 512};
  if (i % 5 == 0) made.record.tags["team"] = "n\xc3\xb6rd";
  made.file = static_cast<std::int64_t>(1 + i / 100);
  made.day = "2025-01-23";
  return made;
}

std::string_view column_of(const EncodedColumns& columns, StoredColumn column) {
  return columns[static_cast<std::size_t>(column)];
}

TEST(RowBlock, ColumnsComeBack) {
  std::vector<IndexedRow> rows;
  for (std::size_t i = 0; i < most_block_rows; ++i) rows.push_back(row(i));
  const EncodedColumns columns = encode_rows(rows);
  const TextColumn paths = decode_texts(column_of(columns, StoredColumn::object_path), rows.size());
  const TextColumn tags = decode_texts(column_of(columns, StoredColumn::tags), rows.size());
  const NumberColumn sizes = decode_numbers(column_of(columns, StoredColumn::object_size), rows.size());
  const NumberColumn offsets = decode_numbers(column_of(columns, StoredColumn::frame_offset), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(paths.at(i), rows[i].record.object_path.str());
    EXPECT_EQ(map_from_json(tags.at(i)), rows[i].record.tags);
    const std::optional<ByteCount> size = rows[i].record.object_size;
    EXPECT_EQ(sizes.at(i), size ? static_cast<std::int64_t>(*size) : unknown_size);
    EXPECT_EQ(offsets.at(i), rows[i].record.location ? static_cast<std::int64_t>(i + 1) : 0);
  }
  EXPECT_TRUE(is_derived(column_of(columns, StoredColumn::object_name)));
  EXPECT_TRUE(decode_texts(column_of(columns, StoredColumn::day), rows.size()).constant());
  rows[5].record.object_name = "another";
  EXPECT_FALSE(is_derived(column_of(encode_rows(rows), StoredColumn::object_name)));
}

TEST(RowBlock, TheSameRowsGiveTheSameColumns) {
  const std::vector<IndexedRow> rows{row(1), row(2), row(3)};
  EXPECT_EQ(encode_rows(rows), encode_rows(rows));
}

TEST(RowBlock, DamageIsNoticed) {
  std::vector<IndexedRow> rows;
  for (std::size_t i = 0; i < 100; ++i) rows.push_back(row(i));
  const EncodedColumns columns = encode_rows(rows);
  const std::string paths(column_of(columns, StoredColumn::object_path));
  EXPECT_THROW(decode_texts("", 100), Error);
  EXPECT_THROW(decode_texts(paths, 101), Error) << "another number of rows";
  EXPECT_THROW(decode_numbers("\x05", 1), Error) << "no such form";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::string damaged = paths;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    try {
      const TextColumn column = decode_texts(damaged, 100);
      for (std::size_t row = 0; row < 100 && i > 0; ++row)
        EXPECT_EQ(column.at(row), rows[row].record.object_path.str()) << "byte " << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

}  // namespace
}  // namespace bale::catalog
