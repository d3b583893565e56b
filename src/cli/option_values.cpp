#include "cli/option_values.hpp"

#include "base/error.hpp"
#include "cli/time_text.hpp"

namespace bale::cli {

std::optional<TimePoint> time_option(const std::string& text, const char* option) {
  if (text.empty()) return std::nullopt;
  try {
    return parse_time_text(text);
  } catch (const Error& error) {
    throw error.with_where(option);
  }
}

}  // namespace bale::cli
