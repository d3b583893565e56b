// Standard streams as a parameter.
#pragma once

#include <string_view>

#include "base/bytes.hpp"

namespace bale::os {

/// Where text for people and programs goes. Thread-safe: one call is written in one piece.
class Terminal {
 public:
  virtual ~Terminal() = default;
  /// Results. Throws Error{unavailable}; with code "EPIPE" when the reader is gone.
  virtual void out(std::string_view text) = 0;
  /// The next bytes of standard input, at most bytes.size(); 0 at its end. Throws Error{unavailable}.
  virtual std::size_t in(MutableBytes bytes) = 0;
  /// Logs, progress, errors; failures are ignored.
  virtual void err(std::string_view text) = 0;
  virtual bool err_is_terminal() const = 0;
  virtual bool out_is_terminal() const = 0;
  /// Width of the terminal in columns; 80 where there is none.
  virtual int columns() const = 0;
};

/// The process's own standard output and standard error; never destroyed.
Terminal& system_terminal();

}  // namespace bale::os
