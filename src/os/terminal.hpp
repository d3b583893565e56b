// Standard streams as a parameter.
#pragma once

#include <string_view>

#include "base/bytes.hpp"

namespace bale::os {

/// Where text for people and programs goes. Thread-safe: one call is written in one piece.
class Terminal {
 public:
  virtual ~Terminal() = default;
  /// Writes results, and waits for their reader. Throws Error{unavailable}, with code "EPIPE" if the reader is gone;
  /// Error{cancelled} if the program was asked to end and the reader takes nothing for two seconds.
  virtual void out(std::string_view text) = 0;
  /// The next bytes of standard input, at most bytes.size(); 0 at its end. Throws Error{unavailable}.
  virtual std::size_t in(MutableBytes bytes) = 0;
  /// Writes progress and errors, and waits for their reader; once the program was asked to end, for two seconds.
  /// Failures are ignored.
  virtual void err(std::string_view text) = 0;
  /// Writes a line of the log to standard error. Waits at most a second for a reader that takes nothing, and not at all
  /// for one that still does. Returns false if the line, or its end, was dropped. Writes as err() does by default.
  virtual bool log(std::string_view line) {
    err(line);
    return true;
  }
  virtual bool err_is_terminal() const = 0;
  virtual bool out_is_terminal() const = 0;
  /// Width of the terminal in columns; 80 where there is none.
  virtual int columns() const = 0;
};

/// The process's own standard output and standard error; never destroyed.
Terminal& system_terminal();

}  // namespace bale::os
