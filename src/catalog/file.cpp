#include "catalog/file.hpp"

#include <fmt/format.h>

#include <utility>

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

}  // namespace

std::string to_file_line(const Record& row, std::uint64_t number, std::uint64_t rows) {
  std::string line = to_json_line(row);
  line.pop_back();  // the closing brace
  line += fmt::format(",\"row\":{},\"rows\":{}", number, rows);
  const std::string checksum = checksum_of(line);
  return line.append(checksum_member).append(checksum).append(line_end).append("\n");
}

std::string to_file_text(const std::vector<Record>& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) text += to_file_line(rows[i], i + 1, rows.size());
  return text;
}

// ---- FileReader

void FileReader::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view part = text.substr(0, end);
    too_long_ = too_long_ || partial_.size() + part.size() > most_line_bytes;
    if (end == std::string_view::npos) {
      if (!too_long_) partial_ += part;
      return;
    }
    if (!too_long_ && !partial_.empty()) part = partial_ += part;
    take_line(part);
    partial_.clear();
    text.remove_prefix(end + 1);
  }
}

/// A whole line, or one that is too long.
void FileReader::take_line(std::string_view line) {
  ++line_number_;
  if (std::exchange(too_long_, false)) {
    ++lines_;
    if (!checked_) held_ += '\n';  // so that the lines behind it keep their numbers
    return note(fmt::format("line {} is longer than {}", line_number_, format_bytes(most_line_bytes)));
  }
  // One row with a checksum vouches for the others: a row that lost its checksum is not one that never had any.
  if (!checked_ && line.find(checksum_name) != std::string_view::npos) {
    checked_ = true;
    take_held();
  }
  if (checked_) return take(line, line_number_);
  is_full_ = is_full_ || held_.size() + line.size() > most_held_;
  if (is_full_) return note(fmt::format("it has more than {} of rows without checksums", format_bytes(most_held_)));
  held_.append(line).append("\n");
}

/// Takes what was held, now that it is known whether rows have checksums, or that nothing more is to be held.
void FileReader::take_held() {
  const std::string held = std::exchange(held_, {});
  for (std::size_t begin = 0; begin < held.size();) {
    const std::size_t end = held.find('\n', begin);
    take(std::string_view(held).substr(begin, end - begin), ++held_number_);
    begin = end + 1;
  }
}

void FileReader::take(std::string_view line, std::uint64_t number) {
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
    return note(fmt::format("line {}: {}", number, error.what()));
  }
  ++sound_;
  visit_(std::move(*record));
}

std::optional<FileDamage> FileReader::finish() {
  if (!partial_.empty() || too_long_) take_line(partial_);
  take_held();
  if (lines_ == 0) note("it is empty");
  if (rows_ && sound_ < *rows_) note(fmt::format("it has {} of its {} rows", sound_, *rows_));
  if (!first_) return std::nullopt;
  FileDamage found{std::nullopt, *first_};
  if (rows_ && *rows_ > sound_) found.rows_lost = *rows_ - sound_;
  return found;
}

/// Rows come in order, each once, and agree on how many they are.
void FileReader::take_place(const std::optional<RowPlace>& place) {
  if (!checked_ && !place) return;
  if (!checked_) throw damage("the row has lost its checksum");
  if (!place) throw damage("the row does not say which of the file's rows it is");
  if (place->row == 0 || place->row > place->rows || (rows_ && *rows_ != place->rows) || place->row <= last_row_)
    throw damage(fmt::format("the row, {} of {}, does not belong here", place->row, place->rows));
  rows_ = place->rows;
  last_row_ = place->row;
}

void FileReader::note(std::string what) {
  if (!first_) first_ = std::move(what);
}

std::optional<FileDamage> read_file_text(std::string_view text, const std::function<void(Record)>& visit) {
  FileReader reader(visit, text.size());
  reader.add(text);
  return reader.finish();
}

}  // namespace bale::catalog
