// Checks of option values that the parser makes.
#pragma once

#include <string>

namespace bale::cli {

/// For CLI::Option::check(): an empty value, as of a variable in a script that was never set, is not what was meant.
inline std::string refuse_empty(const std::string& value) { return value.empty() ? "the value is empty" : ""; }

}  // namespace bale::cli
