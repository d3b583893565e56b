#include "catalog/file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace bale::catalog {
namespace {

// The checksum is the last member, over the very bytes in front of it: it needs no agreement on how JSON is spelt.
constexpr std::string_view checksum_member = ",\"row_xxh64\":\"";
constexpr std::string_view checksum_name = "\"row_xxh64\"";
constexpr std::string_view line_end = "\"}";
constexpr std::size_t checksum_digits = 16;
constexpr std::size_t checksum_bytes = checksum_member.size() + checksum_digits + line_end.size();

Error damage(std::string what) { return Error(ErrorKind::corrupt, std::move(what)); }

std::string checksum_of(std::string_view bytes) { return fmt::format("{:016x}", xxh64(as_bytes(bytes))); }

/// Throws unless the line ends with the checksum of what is in front of it.
void verify_checksum(std::string_view line) {
  const std::size_t at = line.size() < checksum_bytes ? std::string_view::npos : line.size() - checksum_bytes;
  if (at == std::string_view::npos || line.substr(at, checksum_member.size()) != checksum_member ||
      !line.ends_with(line_end))
    throw damage("the row does not end with its checksum");
  if (line.substr(at + checksum_member.size(), checksum_digits) != checksum_of(line.substr(0, at)))
    throw damage("the row's checksum is not that of its content");
}

/// One file, read line by line.
class FileReading {
 public:
  FileReading(std::string_view text, const std::function<void(Record)>& visit)
      // One row with a checksum vouches for the others: a row that lost its checksum is not one that never had any.
      : checked_(text.find(checksum_name) != std::string_view::npos), visit_(visit) {}

  void take(std::string_view line) {
    ++line_number_;
    if (line.empty()) return;
    ++lines_;
    std::optional<Record> record;
    try {
      if (checked_) verify_checksum(line);
      Row row = parse_row(line);
      take_place(row.place);
      record = std::move(row.record);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      return note(fmt::format("line {}: {}", line_number_, error.what()));
    }
    ++sound_;
    visit_(std::move(*record));
  }

  std::optional<FileDamage> finish() {
    if (lines_ == 0) note("it is empty");
    if (rows_ && sound_ < *rows_) note(fmt::format("it has {} of its {} rows", sound_, *rows_));
    if (!first_) return std::nullopt;
    FileDamage found{std::nullopt, *first_};
    if (rows_ && *rows_ > sound_) found.rows_lost = *rows_ - sound_;
    return found;
  }

 private:
  /// Rows come in order, each once, and agree on how many they are.
  void take_place(const std::optional<RowPlace>& place) {
    if (!checked_ && !place) return;
    if (!checked_) throw damage("the row has lost its checksum");
    if (!place) throw damage("the row does not say which of the file's rows it is");
    if (place->row == 0 || place->row > place->rows || (rows_ && *rows_ != place->rows) || place->row <= last_row_)
      throw damage(fmt::format("the row, {} of {}, does not belong here", place->row, place->rows));
    rows_ = place->rows;
    last_row_ = place->row;
  }

  void note(std::string what) {
    if (!first_) first_ = std::move(what);
  }

  const bool checked_;
  const std::function<void(Record)>& visit_;
  std::uint64_t line_number_ = 0, lines_ = 0, sound_ = 0, last_row_ = 0;
  std::optional<std::uint64_t> rows_;  ///< as the file's sound rows say
  std::optional<std::string> first_;
};

}  // namespace

std::string to_file_text(const std::vector<Record>& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line = to_json_line(rows[i]);
    line.pop_back();  // the closing brace
    line += fmt::format(",\"row\":{},\"rows\":{}", i + 1, rows.size());
    const std::string checksum = checksum_of(line);
    text.append(line).append(checksum_member).append(checksum).append(line_end).append("\n");
  }
  return text;
}

std::optional<FileDamage> read_file_text(std::string_view text, const std::function<void(Record)>& visit) {
  FileReading reading(text, visit);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    reading.take(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return reading.finish();
}

}  // namespace bale::catalog
