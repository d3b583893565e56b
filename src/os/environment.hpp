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

/// The process's environment; never destroyed.
Environment& system_environment();

}  // namespace bale::os
