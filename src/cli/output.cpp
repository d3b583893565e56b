#include "cli/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::cli {
namespace {

std::string to_line(const nlohmann::ordered_json& json) {
  return escape_json(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

struct Range {
  char32_t first, last;
};

bool in_any(char32_t c, const auto& ranges) {
  return std::any_of(std::begin(ranges), std::end(ranges), [c](Range r) { return c >= r.first && c <= r.last; });
}

/// The blocks that matter in file names, not the whole of Unicode: combining marks, joiners, variation selectors.
constexpr Range zero_width[] = {{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD},  {0x064B, 0x065F},
                                {0x0E31, 0x0E31}, {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E},  {0x1AB0, 0x1AFF},
                                {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF},  {0xFE00, 0xFE0F},
                                {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};
/// East_Asian_Width W and F, and emoji. https://www.unicode.org/reports/tr11/
constexpr Range double_width[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},  {0x3400, 0x4DBF},
                                  {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                                  {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                                  {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

/// Takes the first character off `text`, well-formed or not: one byte at least.
char32_t take_character(std::string_view& text) noexcept {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1;
  if (length == 1 || text.size() < length || !is_utf8(text.substr(0, length))) {
    text.remove_prefix(1);
    return first < 0x80 ? first : U'?';
  }
  char32_t c = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  text.remove_prefix(length);
  return c;
}

std::size_t width_of(char32_t c) noexcept { return in_any(c, zero_width) ? 0 : in_any(c, double_width) ? 2 : 1; }

std::string pad(std::string_view text, std::size_t width, Align align) {
  const std::size_t own = display_width(text);
  const std::string spaces(width > own ? width - own : 0, ' ');
  return align == Align::left ? std::string(text) + spaces : spaces + std::string(text);
}

}  // namespace

void emit(Context& context, const nlohmann::ordered_json& line, std::string_view text) {
  emit_lines(context, line, escape_for_terminal(text));
}

void emit_lines(Context& context, const nlohmann::ordered_json& line, std::string_view text) {
  context.print(context.json() ? to_line(line) : std::string(text));
}

void emit_json(Context& context, const nlohmann::ordered_json& line) {
  if (context.json()) context.print(to_line(line));
}

void add_name(nlohmann::ordered_json& line, const std::string& name, std::string_view bytes) {
  line[name] = is_utf8(bytes) ? std::string(bytes) : escape_name(bytes);
  if (!is_utf8(bytes)) line[name + "_base64"] = to_base64(as_bytes(bytes));
}

std::string indent_lines(std::string_view text) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    if (!out.empty()) out += line.starts_with("  ") ? "\n" : "\n  ";
    out += escape_for_terminal(line);
  }
  return out;
}

std::string message_of(const Error& error) {
  if (error.where().empty()) return indent_lines(error.summary());
  return fmt::format("{} ({})", indent_lines(error.summary()), escape_for_terminal(error.where()));
}

void emit_failure(Context& context, std::string_view doing, const Error& error) {
  if (!context.json()) {
    std::string text = fmt::format("{}: {}\n", escape_for_terminal(doing), message_of(error));
    if (!error.hint().empty()) text += fmt::format("hint: {}\n", indent_lines(error.hint()));
    context.world().terminal.err(text);
    return;
  }
  nlohmann::ordered_json line = {
      {"type", "error"}, {"kind", to_string(error.kind())}, {"doing", doing}, {"message", error.summary()}};
  if (!error.where().empty()) line["where"] = error.where();
  if (!error.code().empty()) line["code"] = error.code();
  if (!error.hint().empty()) line["hint"] = error.hint();
  context.world().terminal.err(to_line(line) + "\n");
}

Error ended_run(const Error& error, const RunState& state, std::string_view done, std::string_view again) {
  const std::string before = state.done == 0 ? fmt::format("no object was {}", done)
                                             : fmt::format("{} {} {} before", format_count(state.done, "object"),
                                                           state.done == 1 ? "was" : "were", done);
  const std::string left = !state.left ? "the others are left to do"
                                       : fmt::format("{} {} left to do", format_count(*state.left, "object"),
                                                     *state.left == 1 ? "is" : "are");
  const char* const hint = error.code() == "EROFS" ? "write to another place, or mount this one writable"
                                                   : "free some space, or write to another place";
  return error.with_summary(fmt::format("{}; {}, {}", error.summary(), before, left))
      .with_hint(fmt::format("{}; then run the command again{}{}", hint, again.empty() ? "" : ": ", again));
}

void emit_warning(Context& context, std::string_view text) {
  emit_warning(context.world().terminal, context.json(), text);
}

void emit_warning(os::Terminal& terminal, bool json, std::string_view text) {
  if (!json) return terminal.err(fmt::format("warning: {}\n", indent_lines(text)));
  terminal.err(to_line({{"type", "warning"}, {"message", text}}) + "\n");
}

std::string format_size(std::optional<ByteCount> size) { return size ? format_bytes(*size) : "?"; }

ByteCount bytes_of(double bytes) noexcept { return static_cast<ByteCount>(std::llround(bytes)); }

std::size_t display_width(std::string_view text) noexcept {
  const auto is_one_column = [](char c) { return c >= 0x20 && c < 0x7F; };
  std::size_t width =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_one_column) - text.begin());
  text.remove_prefix(width);
  while (!text.empty()) width += width_of(take_character(text));
  return width;
}

std::string fit(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::string_view rest = text;
  std::size_t width = 0, kept = 0;
  while (!rest.empty()) {
    width += width_of(take_character(rest));
    if (width > columns - 1) break;  // one column for the ellipsis
    kept = text.size() - rest.size();
  }
  return std::string(text.substr(0, kept)) + "…";
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = escape_for_terminal(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.heading));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  const auto line = [&](const auto& cell) {
    std::string joined;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i != 0) joined += "  ";
      joined += pad(cell(i), widths[i], columns_[i].align);
    }
    joined.resize(joined.find_last_not_of(' ') + 1);
    return joined;
  };
  std::string out = line([&](std::size_t i) { return columns_[i].heading; });
  for (const auto& row : rows_) out += "\n" + line([&](std::size_t i) { return row[i]; });
  return out;
}

std::string format_count(std::uint64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string format_count(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", format_count(number), noun, number == 1 ? "" : "s");
}

std::string format_dollars(double amount) {
  const double size = std::abs(amount);
  std::string text = fmt::format("{:.2f}", size);
  if (size > 0 && size < 0.1) {
    const int first_digit = static_cast<int>(std::ceil(-std::log10(size)));
    text = fmt::format("{:.{}f}", size, std::clamp(first_digit + 1, 4, 12));
  }
  for (std::size_t at = text.find('.'); at > 3; at -= 3) text.insert(at - 3, ",");
  return (amount < 0 ? "-$" : "$") + text;
}

std::string format_ratio(ByteCount original, ByteCount compressed) {
  if (original == 0 || compressed == 0) return "-";
  return fmt::format("{:.2f}", static_cast<double>(original) / static_cast<double>(compressed));
}

std::string format_rate(ByteCount bytes, Milliseconds elapsed) {
  if (elapsed.count() <= 0) return "-";
  return format_bytes(static_cast<ByteCount>(static_cast<double>(bytes) * 1000 / elapsed.count())) + "/s";
}

std::string progress_line(std::string_view verb, const ProgressSnapshot& progress, std::size_t columns) {
  std::string line(verb);
  if (progress.items_total != 1) {  // of a single object its bytes tell enough
    line += "  " + format_count(progress.items_done);
    if (progress.items_total != 0) line += "/" + format_count(progress.items_total);
    line += progress.items_total == 0 && progress.items_done == 1 ? " object" : " objects";
  }
  if (progress.bytes_done != 0 || progress.bytes_total != 0) line += "  " + format_bytes(progress.bytes_done);
  if (progress.bytes_total != 0) {
    const double share = static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total);
    line += fmt::format(" of {} ({:.0f}%)", format_bytes(progress.bytes_total), 100 * std::min(share, 1.0));
  }
  if (progress.bytes_per_second >= 1) {
    line += fmt::format("  {}/s", format_bytes(static_cast<ByteCount>(progress.bytes_per_second)));
    if (progress.bytes_total > progress.bytes_done) {
      const double seconds =
          static_cast<double>(progress.bytes_total - progress.bytes_done) / progress.bytes_per_second;
      // Below a second there is nothing to wait for, beyond a hundred days an estimate says nothing.
      if (seconds >= 1 && seconds < 100 * 86400.0)
        line += "  ETA " + format_duration(std::chrono::seconds(std::llround(seconds)));
    }
  }
  if (progress.items_failed != 0) line += fmt::format("  {} failed", format_count(progress.items_failed));
  return fit(line, columns);
}

ProgressPrinter::ProgressPrinter(Context& context, const flow::Progress& progress, std::string verb)
    : context_(context), progress_(progress), verb_(std::move(verb)) {
  if (context.shows_status()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ProgressPrinter::~ProgressPrinter() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  context_.set_status({});
}

void ProgressPrinter::run(std::stop_token stop) {
  constexpr auto interval = std::chrono::milliseconds(100);
  constexpr double smoothing = 0.1;  // weight of the newest interval: the rate follows changes within about a second
  os::Clock& clock = context_.world().clock;
  auto before = clock.steady();
  ByteCount bytes_before = 0;
  double rate = 0;
  bool first = true;
  while (clock.sleep_for(interval, stop)) {
    const auto now = clock.steady();
    const double seconds = std::chrono::duration<double>(now - before).count();
    const ByteCount bytes = progress_.bytes_done;
    if (seconds > 0) {
      const double current = static_cast<double>(bytes - std::min(bytes, bytes_before)) / seconds;
      rate = first ? current : rate + smoothing * (current - rate);
      first = false;
    }
    before = now;
    bytes_before = bytes;
    const int columns = context_.world().terminal.columns();
    context_.set_status(progress_line(
        verb_,
        {progress_.items_done, progress_.items_total, bytes, progress_.bytes_total, progress_.items_failed, rate},
        static_cast<std::size_t>(std::max(columns - 1, 20))));  // writing the last column would wrap the line
  }
}

}  // namespace bale::cli
