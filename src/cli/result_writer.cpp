#include "cli/result_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// One write for many rows: a call for each would be most of the time of a long result.
constexpr std::size_t piece_bytes = 64 << 10;

/// https://docs.aws.amazon.com/athena/latest/ug/data-types.html, https://www.sqlite.org/datatype3.html
constexpr auto number_types =
    std::to_array<std::string_view>({"bigint", "decimal", "double", "double precision", "float", "int", "integer",
                                     "numeric", "real", "smallint", "tinyint"});

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Takes digits off the front; how many there were.
std::size_t take_digits(std::string_view& text) noexcept {
  const std::size_t count = std::find_if_not(text.begin(), text.end(), is_digit) - text.begin();
  text.remove_prefix(count);
  return count;
}

/// Whether JSON has a number of this spelling (RFC 8259, section 6).
bool is_json_number(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool starts_with_zero = text.starts_with('0');
  const std::size_t digits = take_digits(text);
  if (digits == 0 || (starts_with_zero && digits > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (take_digits(text) == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (take_digits(text) == 0) return false;
  }
  return text.empty();
}

std::string quote_json(std::string_view text) {
  return escape_json(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string json_value(const ResultValue& value, ResultKind kind) {
  if (!value) return "null";
  if (kind == ResultKind::number && is_json_number(*value)) return *value;
  if (kind == ResultKind::boolean && (*value == "true" || *value == "false")) return *value;
  return quote_json(*value);
}

std::string quote_csv(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c;
    if (c == '"') quoted += '"';
  }
  return quoted + '"';
}

/// An empty string is quoted, so that it is not taken for NULL.
std::string csv_field(const ResultValue& value) {
  if (!value) return {};
  if (value->empty() || value->find_first_of("\",\r\n") != std::string::npos) return quote_csv(*value);
  return *value;
}

std::string csv_line(const ResultRow& row) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) line += ',';
    line += csv_field(row[i]);
  }
  return line + "\r\n";
}

/// Names of an object's members: none is empty and no two are equal.
std::vector<std::string> distinct_names(const std::vector<ResultColumn>& columns) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const ResultColumn& column : columns) taken.insert(column.name);
  std::set<std::string> used;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::string name = columns[i].name.empty() ? fmt::format("_col{}", i) : columns[i].name;
    const std::string wanted = name;
    for (int number = 2; used.count(name) != 0 || (name != columns[i].name && taken.count(name) != 0); ++number)
      name = fmt::format("{}_{}", wanted, number);
    used.insert(name);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

std::optional<ResultFormat> parse_result_format(std::string_view word) noexcept {
  if (word == "table") return ResultFormat::table;
  if (word == "csv") return ResultFormat::csv;
  if (word == "jsonl") return ResultFormat::jsonl;
  return std::nullopt;
}

ResultKind kind_of_type(std::string_view type) noexcept {
  const auto is = [&](std::string_view name) {
    return type.size() == name.size() && std::equal(type.begin(), type.end(), name.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
  };
  type = type.substr(0, type.find('('));
  while (type.ends_with(' ')) type.remove_suffix(1);
  if (is("boolean")) return ResultKind::boolean;
  return std::any_of(number_types.begin(), number_types.end(), is) ? ResultKind::number : ResultKind::text;
}

ResultWriter::ResultWriter(Context& context, ResultOptions options) : context_(context), options_(std::move(options)) {}

void ResultWriter::begin(std::vector<ResultColumn> columns) {
  columns_ = std::move(columns);
  for (const ResultColumn& column : columns_) {
    kinds_.push_back(kind_of_type(column.type));
    widths_.push_back(display_width(escape_for_terminal(column.name)));
  }
  for (const std::string& name : distinct_names(columns_)) json_names_.push_back(quote_json(name) + ":");
  if (options_.format != ResultFormat::csv) return;
  ResultRow names;
  for (const ResultColumn& column : columns_) names.emplace_back(column.name);
  write(csv_line(names));
}

void ResultWriter::add(ResultRow row) {
  if (row.size() > columns_.size()) {
    throw Error(ErrorKind::internal, fmt::format("a row of {} values for {} columns", row.size(), columns_.size()));
  }
  row.resize(columns_.size());
  ++rows_;
  switch (options_.format) {
    case ResultFormat::table: return keep(row);
    case ResultFormat::csv: return write(csv_line(row));
    case ResultFormat::jsonl: return write(json_line(row));
  }
}

void ResultWriter::finish() {
  if (options_.format == ResultFormat::table && !is_streaming_) write_kept();
  flush();
}

void ResultWriter::write(std::string_view text) {
  pending_ += text;
  if (pending_.size() >= piece_bytes) flush();
}

void ResultWriter::flush() {
  if (pending_.empty()) return;
  const std::string text = std::exchange(pending_, {});
  if (options_.format == ResultFormat::table && context_.options().quiet) return;
  // A program that reads CSV gets the values as they are: CSV knows no escapes.
  if (options_.format == ResultFormat::csv && !context_.world().terminal.out_is_terminal())
    context_.print_bytes(as_bytes(text));
  else
    context_.world().terminal.out(text);
}

void ResultWriter::keep(const ResultRow& row) {
  std::vector<std::string> cells;
  for (const ResultValue& value : row) cells.push_back(value ? escape_for_terminal(*value) : "NULL");
  if (is_streaming_) return write(table_line(cells));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    widths_[i] = std::max(widths_[i], display_width(cells[i]));
    kept_bytes_ += cells[i].size() + sizeof(std::string);
  }
  kept_.push_back(std::move(cells));
  if (kept_.size() < options_.rows_kept && kept_bytes_ < options_.bytes_kept) return;
  write_kept();
  is_streaming_ = true;
}

void ResultWriter::write_kept() {
  std::vector<std::string> headings;
  for (const ResultColumn& column : columns_) headings.push_back(escape_for_terminal(column.name));
  if (!headings.empty()) write(table_line(headings));
  for (const auto& cells : std::exchange(kept_, {})) write(table_line(cells));
}

std::string ResultWriter::table_line(const std::vector<std::string>& cells) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = display_width(cells[i]);
    const std::string spaces(widths_[i] > width ? widths_[i] - width : 0, ' ');
    if (i != 0) line += "  ";
    line += kinds_[i] == ResultKind::number ? spaces + cells[i] : cells[i] + spaces;
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string ResultWriter::json_line(const ResultRow& row) const {
  std::string line = "{";
  const bool has_type = std::find(json_names_.begin(), json_names_.end(), "\"type\":") != json_names_.end();
  if (!options_.line_type.empty() && !has_type) line += "\"type\":" + quote_json(options_.line_type);
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (line.size() > 1) line += ',';
    line += json_names_[i] + json_value(row[i], kinds_[i]);
  }
  return line + "}\n";
}

}  // namespace bale::cli
