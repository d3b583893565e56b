#include "os/environment.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.hpp"

namespace bale::os {
namespace {

class SystemEnvironment final : public Environment {
 public:
  std::optional<std::string> get(const std::string& name) const override {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  }
};

}  // namespace

std::optional<std::string> get_line(const Environment& environment, const std::string& name) {
  std::optional<std::string> value = environment.get(name);
  if (!value || value->empty()) return std::nullopt;
  const std::size_t end = value->find_first_of("\r\n");
  if (end == std::string::npos) return value;
  const char* const what = (*value)[end] == '\r' ? "a carriage return (\\r)" : "a line feed (\\n)";
  throw Error(ErrorKind::invalid, fmt::format("there is {} in the environment variable", what), name,
              "remove it: a script or .env file with Windows line ends leaves \\r at the end of values");
}

Environment& system_environment() {
  static SystemEnvironment environment;
  return environment;
}

}  // namespace bale::os
