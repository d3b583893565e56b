// --include and --exclude, as every command that takes names has them.
#pragma once

#include <vector>

#include "cli/s3_names.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// Adds both options. Their patterns are read by ordered_filters(); the parser only checks that they are there.
void add_filter_options(CLI::App& command);

/// Returns the filters in the order in which they were given, which CLI11 keeps for all options together only. To be
/// called when the command line is parsed.
std::vector<FilterRule> ordered_filters(const CLI::App& command);

}  // namespace bale::cli
