// The text of a catalog file: rows that know their place, so that damage is noticed wherever it is. See
// docs/format/catalog.md, "Checks". Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/record.hpp"

namespace bale::catalog {

/// The lines of a file with these rows, in this order, each ended with a newline and closed by its checks.
/// Deterministic.
std::string to_file_text(const std::vector<Record>& rows);
/// The line of row `number`, from 1, of `rows` rows, with its newline: for those who do not have all rows at once.
std::string to_file_line(const Record& row, std::uint64_t number, std::uint64_t rows);

/// What is wrong with a catalog file, all of it together.
struct FileDamage {
  /// Rows that are missing or cannot be trusted; absent where nothing that is left says how many there were.
  std::optional<std::uint64_t> rows_lost;
  std::string first;  ///< the first thing that was noticed, for people: "line 3: the row's checksum is wrong"
};

/// The longest line that is read. A row with a key of 1 KiB, 2 KiB of metadata and ten tags of 384 characters has less
/// than 64 KiB, even where JSON makes six bytes of each.
inline constexpr ByteCount most_line_bytes = 1 << 20;
/// How much of a file without checks is held until it has ended: a hundred thousand rows.
inline constexpr ByteCount default_held_bytes = 64ULL << 20;

/// Reads the text of a catalog file piece by piece, and calls `visit` with every row that is sound, in order, also
/// those of a damaged file. Rows without checks (of the reference) are believed unless other rows of their file have
/// checks; they are held until that is known; what is more than may be held is lost, and damage. Not thread-safe.
class FileReader {
 public:
  /// `visit` is borrowed. `most_held`: bytes of rows without checks that are held.
  explicit FileReader(const std::function<void(Record)>& visit, ByteCount most_held = default_held_bytes)
      : visit_(visit), most_held_(most_held) {}
  /// The next bytes of the text. Throws what `visit` throws.
  void add(std::string_view text);
  /// Call once, at the end. Nothing is returned for a file that is whole. Throws what `visit` throws.
  std::optional<FileDamage> finish();

 private:
  void take_line(std::string_view line);
  void take(std::string_view line, std::uint64_t number);
  void take_place(const std::optional<RowPlace>& place);
  void take_held();
  void note(std::string what);

  const std::function<void(Record)>& visit_;
  const ByteCount most_held_;
  std::string partial_;    ///< the beginning of a line
  bool too_long_ = false;  ///< the line at hand is, and is dropped
  bool checked_ = false;   ///< a row has a checksum
  bool is_full_ = false;   ///< more rows without checksums came than may be held
  std::string held_;       ///< lines, each ended; the first of them is line 1
  std::uint64_t line_number_ = 0, held_number_ = 0, lines_ = 0, sound_ = 0, last_row_ = 0;
  std::optional<std::uint64_t> rows_;  ///< as the file's sound rows say
  std::optional<std::string> first_;
};

/// Reads the text of a catalog file that is in memory. As FileReader.
std::optional<FileDamage> read_file_text(std::string_view text, const std::function<void(Record)>& visit);

}  // namespace bale::catalog
