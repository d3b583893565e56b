// Values of options: what the parser refuses, and what they mean.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"

namespace bale::cli {

/// For CLI::Option::check(): an empty value, as of a variable in a script that was never set, is not what was meant.
inline std::string refuse_empty(const std::string& value) { return value.empty() ? "the value is empty" : ""; }

/// Returns the time in an option's value, as parse_time_text() reads it; absent if the value is empty. Throws
/// Error{invalid} naming the option.
std::optional<TimePoint> time_option(const std::string& text, const char* option);

}  // namespace bale::cli
