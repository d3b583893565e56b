#include "telemetry/log.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::telemetry {
namespace {

constexpr std::string_view level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

/// A value of a text line: as it is, or in quotes where it has spaces, quotes or '='.
std::string show_value(std::string_view raw) {
  std::string value = escape_for_terminal(raw);
  if (value.find_first_of(" \"=") == std::string::npos) return value;
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string text_line(std::string_view time, std::string_view level, std::string_view event, std::string_view message,
                      std::initializer_list<Field> fields) {
  std::string line = fmt::format("{} {:<7} {:<14} {}", time, level, event, escape_for_terminal(message));
  for (const Field& field : fields) {
    if (!field.value.empty()) line += fmt::format(" {}={}", field.name, show_value(field.value));
  }
  return line + "\n";
}

/// A number as JSON; null for those that JSON has none for (nan, inf).
nlohmann::json number(const std::string& text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  return value.is_discarded() ? nlohmann::json() : value;
}

std::string json_line(std::string_view time, std::string_view level, std::string_view event, std::string_view message,
                      std::initializer_list<Field> fields) {
  nlohmann::ordered_json line = {{"asctime", time}, {"levelname", level}, {"name", event}, {"message", message}};
  for (const Field& field : fields) {
    if (field.value.empty()) continue;
    std::string name(field.name);
    while (line.contains(name)) name += '_';  // what happened is never overwritten by what it happened to
    if (field.is_number)
      line[name] = number(field.value);
    else
      line[name] = field.value;
  }
  // Keys of objects need not be UTF-8 in every store; a log line must be.
  return escape_json(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

}  // namespace

Level parse_level(std::string_view text) {
  const std::string name = to_lower(text);
  if (name == "debug") return Level::debug;
  if (name == "info") return Level::info;
  if (name == "warning" || name == "warn") return Level::warning;
  if (name == "error") return Level::error;
  if (name == "critical" || name == "fatal") return Level::critical;
  if (name == "off") return Level::off;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is not a log level", escape_name(text)), {},
              "use debug, info, warning, error or critical");
}

std::string Log::line_of(Level level, std::string_view event, std::string_view message,
                         std::initializer_list<Field> fields) const {
  const std::string time = to_timestamp(world_.clock.now());
  const std::string_view name = level_names[static_cast<int>(level)];
  return format_ == Format::json ? json_line(time, name, event, message, fields)
                                 : text_line(time, name, event, message, fields);
}

void Log::write(Level level, std::string_view event, std::string_view message, std::initializer_list<Field> fields) {
  if (level < least_ || level == Level::off) return;
  if (!tell_lost() || !world_.terminal.log(line_of(level, event, message, fields))) ++lost_;
}

/// False if there is something to tell and nobody reads it.
bool Log::tell_lost() {
  const std::uint64_t lost = lost_.exchange(0);
  if (lost == 0) return true;
  if (world_.terminal.log(
          line_of(Level::warning, "log.lost", "lines of the log were dropped: nobody read them", {{"lines", lost}})))
    return true;
  lost_ += lost;
  return false;
}

Log::~Log() { tell_lost(); }

}  // namespace bale::telemetry
