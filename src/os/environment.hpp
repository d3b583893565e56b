// Environment variables as a parameter.
#pragma once

#include <optional>
#include <string>

namespace bale::os {

/// Where environment variables come from. Thread-safe as long as nobody changes the environment.
class Environment {
 public:
  virtual ~Environment() = default;
  /// Absent when the variable is not set; an empty value is a value.
  virtual std::optional<std::string> get(const std::string& name) const = 0;
};

/// Returns the value of a variable that is one line of text; absent when the variable is not set or empty. Throws
/// Error{invalid} that names the variable, and does not show its value, when there is a carriage return or a line feed
/// in it: a file of variables with the line ends of Windows leaves one at the end of each.
std::optional<std::string> get_line(const Environment& environment, const std::string& name);

/// The process's environment; never destroyed.
Environment& system_environment();

}  // namespace bale::os
