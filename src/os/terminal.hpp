// Standard streams as a parameter.
#pragma once

#include <stop_token>
#include <string_view>

#include "base/bytes.hpp"

namespace bale::os {

/// Where text for people and programs goes. Thread-safe: one call is written in one piece.
class Terminal {
 public:
  virtual ~Terminal() = default;
  /// Writes results, and waits for their reader. Throws Error{unavailable}, with code "EPIPE" if the reader is gone;
  /// Error{cancelled} if the program was asked to end and the reader does not take all of the text within 0.3 seconds.
  virtual void out(std::string_view text) = 0;
  /// Returns the number of the next bytes of standard input, at most bytes.size(); 0 at its end. Throws
  /// Error{unavailable}, and Error{cancelled} once `stop` is requested, also at the end: a signal that ends the whole
  /// pipeline ends the input too, and what came until then is not all of it.
  virtual std::size_t in(MutableBytes bytes, const std::stop_token& stop) = 0;
  /// Writes progress and errors, and waits for their reader; once the program was asked to end, for 0.3 seconds.
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
