// The local index of a catalog: one SQLite file with blocks of rows, their columns, and the trigrams of their names.
// What is in it can be made anew from the catalog at any time. See docs/format/catalog-index.md.
#pragma once

#include <bitset>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "catalog/row_block.hpp"
#include "catalog/trigrams.hpp"
#include "sqlite/database.hpp"

namespace bale::catalog {

/// A catalog file that is in the index.
struct IndexedFile {
  std::int64_t number = 0;  ///< from 1; the rows' StoredColumn::file
  ObjectKey key;
  ETag etag;
  std::uint64_t rows = 0;
  std::int64_t first_block = 0, last_block = -1;  ///< that hold its rows
  std::string damage;                             ///< what is wrong with it; empty for a whole file
  ErrorKind damage_kind = ErrorKind::corrupt;     ///< corrupt, or why the file could not be read
  ObjectKey archive_key;                          ///< of a damaged one: see DamagedFile
  std::vector<BucketName> buckets;
};

struct BlockInfo {
  std::int64_t id = 0;  ///< from 0, without gaps
  std::uint32_t rows = 0;
  bool has_gone = false;  ///< some rows are of catalog files that are no more
};

inline constexpr std::int64_t segment_blocks =
    static_cast<std::int64_t>(segment_granules * granule_rows / most_block_rows);

/// Rows, ready to be written. Pure, but for the time it takes.
struct PreparedBlock {
  std::uint32_t rows = 0;
  EncodedColumns columns;
  std::vector<std::vector<TrigramBucket>> granules;
};
PreparedBlock prepare_block(std::span<const IndexedRow> rows);

/// The note of an index that says when it was last synced, in milliseconds since 1970.
inline constexpr const char* note_synced = "synced_ms";

/// An open index. Everything that is read from it is verified with checksums. Not thread-safe; several processes may
/// read while one writes. All throw Error: corrupt (with the hint to rebuild), and as sqlite::Database does.
class IndexFile {
 public:
  /// Opens the index, making it where it is missing (its directory must be there). An index that an older version of
  /// Bale made is emptied. `catalog` says what is indexed: Error{invalid} where the file is the index of something
  /// else, Error{unsupported} where a newer version of Bale made it.
  IndexFile(const std::filesystem::path& path, const std::string& catalog);

  /// Notes about the index: when it was synced, say. Empty where there is none.
  std::string note(const std::string& name);
  void set_note(const std::string& name, const std::string& value);
  /// Returns a note that holds a time in milliseconds since 1970; nullopt if the index has no such note.
  std::optional<TimePoint> time_note(const std::string& name);

  std::optional<IndexedFile> find_file(const ObjectKey& key);
  /// The greatest key that begins with `prefix`; empty where there is none.
  ObjectKey last_key(const std::string& prefix);
  std::int64_t last_file_number();
  std::vector<IndexedFile> damaged_files();
  /// Returns the files whose number is not in `seen` (by number) and whose key `is_listed` lets through.
  std::vector<IndexedFile> files_not_in(const std::vector<bool>& seen,
                                        const std::function<bool(const std::string& key)>& is_listed);
  std::uint64_t count_files();
  std::uint64_t count_rows();

  std::vector<BlockInfo> blocks();
  /// A column of a block as it is stored.
  std::string column(std::int64_t block, StoredColumn column);
  /// Granules of a segment that could hold texts which hit all of `buckets` (not empty).
  Granules granules_with(std::int64_t segment, const std::vector<TrigramBucket>& buckets);
  /// All rows of a block that are still there.
  std::vector<IndexedRow> rows_of(const BlockInfo& block);

  sqlite::Database& database() noexcept { return database_; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  friend class IndexWriter;
  IndexedFile read_file(const sqlite::Query& row);
  void make_schema(const std::string& catalog);
  void set_totals();
  const std::filesystem::path path_;
  sqlite::Database database_;
};

/// Rows of a decoded block, column by column as they are asked for. Not thread-safe; borrows the index.
class BlockReader {
 public:
  BlockReader(IndexFile& index, const BlockInfo& block) : index_(index), block_(block) {}
  const BlockInfo& info() const noexcept { return block_; }
  const NumberColumn& numbers(StoredColumn column);
  const TextColumn& texts(StoredColumn column);
  std::string_view object_name(std::size_t row);
  bool names_are_derived();
  /// Whether the row's catalog file is still there.
  bool is_there(std::size_t row);
  Record record(std::size_t row);

 private:
  const std::string& stored(StoredColumn column);
  IndexFile& index_;
  const BlockInfo block_;
  std::optional<std::string> names_;
  std::array<std::optional<NumberColumn>, stored_columns> numbers_;
  std::array<std::optional<TextColumn>, stored_columns> texts_;
};

/// Adds to an index and takes from it, in transactions: what was not committed is as if it had never been. Borrows the
/// index; one at a time, also among processes (others wait).
class IndexWriter {
 public:
  explicit IndexWriter(IndexFile& index);
  /// Rows of a last block that is not half full: they are no longer there, and the caller puts them in front of the
  /// first rows that it adds, within one block.
  std::vector<IndexedRow> reopen_last_block();
  /// Returns the number of the block.
  std::int64_t add(const PreparedBlock& block);
  void add_file(const IndexedFile& file);
  void remove_file(const IndexedFile& file);
  /// Removes all rows, files and notes but `catalog`.
  void clear();
  /// Makes what was done visible and begins anew.
  void commit();
  /// Blocks that were added since the last commit.
  std::int64_t uncommitted() const noexcept { return uncommitted_; }

 private:
  void load_segment();
  void write_segment();
  IndexFile& index_;
  std::optional<sqlite::Transaction> transaction_;
  SegmentIndex segment_;
  std::bitset<bucket_groups> touched_groups_;
  std::int64_t next_block_ = 0, uncommitted_ = 0;
};

}  // namespace bale::catalog
