// Structured log lines on standard error.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "os/world.hpp"

namespace bale::telemetry {

enum class Level { debug, info, warning, error, critical, off };
/// Reads DEBUG..CRITICAL (any case; WARN too). Throws Error{invalid}.
Level parse_level(std::string_view text);

enum class Format { text, json };

/// One named value of a log line; an empty one is left out. Text is escaped; secrets are never passed in.
struct Field {
  std::string_view name;
  std::string value;
  bool is_number = false;
  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(v) {}
  template <typename Integer>
  requires std::is_arithmetic_v<Integer> Field(std::string_view n, Integer v)
      : name(n), value(fmt::format("{}", v)), is_number(true) {}
};

/// Writes log lines: text "2025-01-23 09:05:07 INFO pack.done archive=... objects=12", or JSON lines with the members
/// asctime, levelname, name, message and the fields; a field that has the name of one of these gets a '_' behind it.
/// A line never waits for a reader of standard error that takes nothing: it is dropped, and as soon as lines are read
/// again a warning "log.lost" says how many were. Thread-safe.
class Log {
 public:
  Log(os::World world, Level least, Format format) : world_(std::move(world)), least_(least), format_(format) {}
  /// Tells what was dropped and not told yet, if it is read.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  /// `event` is a stable name ("pack.done"); `message` is for people.
  void write(Level level, std::string_view event, std::string_view message, std::initializer_list<Field> fields = {});
  void debug(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::debug, event, message, fields);
  }
  void info(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::info, event, message, fields);
  }
  void warning(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::warning, event, message, fields);
  }
  void error(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::error, event, message, fields);
  }
  Level least() const noexcept { return least_; }
  /// Replaces the least level that is written. To be called before other threads use the log.
  void set_least(Level least) noexcept { least_ = least; }

 private:
  std::string line_of(Level level, std::string_view event, std::string_view message,
                      std::initializer_list<Field> fields) const;
  bool tell_lost();

  os::World world_;
  Level least_;
  Format format_;
  std::atomic<std::uint64_t> lost_{0};  ///< lines dropped and not told
};

}  // namespace bale::telemetry
