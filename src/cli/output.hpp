// How commands print results: tables, JSON lines, a progress line.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cli/context.hpp"
#include "flow/progress.hpp"

namespace bale::cli {

/// Writes one result: `line` as one line of JSON with --output json (also with --quiet), else `text`, one line too,
/// unless --quiet. Control characters in `text` are escaped, line ends included. Bytes in `line` that are not UTF-8 are
/// shown as U+FFFD. Throws as Terminal::out does. Thread-safe.
void emit(Context& context, const nlohmann::ordered_json& line, std::string_view text);
/// As emit(), for text of several lines.
void emit_lines(Context& context, const nlohmann::ordered_json& line, std::string_view text);
/// As emit(), for results that have nothing to say to a person.
void emit_json(Context& context, const nlohmann::ordered_json& line);

/// Adds the member `name` to a line of JSON: a key or path. One that is not UTF-8 is shown as escape_name() has it, and
/// a second member, `name` with "_base64" behind it, has its bytes: as in a manifest (docs/format/manifest.md).
void add_name(nlohmann::ordered_json& line, const std::string& name, std::string_view bytes);

/// "what (where)" of an error for a person: whatever the place is called, nothing in it moves the cursor.
std::string message_of(const Error& error);
/// Returns text that may have several lines, escaped, with all lines but the first indented: no part of a message looks
/// like a line of the program's own.
std::string indent_lines(std::string_view text);

/// A failure of one item among many: a line on stderr, JSON with --output json. The command goes on and exits with
/// exit_some_failed. `doing` says what was tried ("upload failed: a to s3://b/a"). Thread-safe.
void emit_failure(Context& context, std::string_view doing, const Error& error);
/// How far a run over many items came.
struct RunState {
  std::uint64_t done = 0;
  std::optional<std::uint64_t> left;  ///< absent where nobody knows
};
/// Returns the Error with which a run over many items ends when no more can be written (os::is_of_whole_target): one
/// message that also says how many items were done before, and how many are left. `done` completes "12 objects were",
/// such as "copied"; `again` says what running the command again does, and may be empty.
Error ended_run(const Error& error, const RunState& state, std::string_view done, std::string_view again = {});
/// Something a person should know that is no failure: a line on stderr, also with --quiet. Thread-safe.
void emit_warning(Context& context, std::string_view text);
/// The same where there is no context yet.
void emit_warning(os::Terminal& terminal, bool json, std::string_view text);

/// Columns that `text` takes on a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks, 1 for a
/// byte that is not UTF-8.
std::size_t display_width(std::string_view text) noexcept;
/// `text` if it is at most `columns` wide, else cut and ended with "…".
std::string fit(std::string_view text, std::size_t columns);

enum class Align { left, right };

/// Rows of cells under headings, each column as wide as its widest cell, two spaces apart. Control characters in cells
/// are escaped. Not thread-safe.
class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell per column.
  void add(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.empty(); }
  /// Headings and rows, each ended with a newline but the last; no spaces at the ends of lines.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Returns the size as format_bytes() writes it; "?" where it is not known.
std::string format_size(std::optional<ByteCount> size);
/// Reckoned bytes as a whole number of them.
ByteCount bytes_of(double bytes) noexcept;

/// "1,234,567": for people.
std::string format_count(std::uint64_t number);
/// "1 object", "2,345 objects": the number with its noun, whose plural ends with an s.
std::string format_count(std::uint64_t number, std::string_view noun);
/// "$1,234.50", "-$0.0012": dollars and cents; of amounts below ten cents as many decimals as show two digits, but at
/// least four and at most twelve.
std::string format_dollars(double amount);
/// How many times smaller it became: "3.42"; "-" where there is nothing to compare.
std::string format_ratio(ByteCount original, ByteCount compressed);
/// "12.3 MiB/s"; "-" when no time went by.
std::string format_rate(ByteCount bytes, Milliseconds elapsed);

/// How far a job is, at one moment.
struct ProgressSnapshot {
  std::uint64_t items_done = 0, items_total = 0;  ///< a total of 0 is not known
  ByteCount bytes_done = 0, bytes_total = 0;
  std::uint64_t items_failed = 0;
  double bytes_per_second = 0;
};
/// "copying  12/340 objects  1.2 GiB of 8.0 GiB (15%)  82.1 MiB/s  ETA 1 min 23 s", cut to `columns`. Of one object,
/// and of work that has no bytes, the parts that say nothing are left out.
std::string progress_line(std::string_view verb, const ProgressSnapshot& progress, std::size_t columns);

/// Redraws a progress line ten times a second, from its own thread, until destroyed; does nothing where
/// Context::shows_status() is false. `context` and `progress` are borrowed.
class ProgressPrinter {
 public:
  ProgressPrinter(Context& context, const flow::Progress& progress, std::string verb);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

 private:
  void run(std::stop_token stop);
  Context& context_;
  const flow::Progress& progress_;
  const std::string verb_;
  std::jthread thread_;  ///< last: it uses the others
};

}  // namespace bale::cli
