// What was learned of levels, as tables and JSON.
#pragma once

#include "config/replication.hpp"

namespace bale::cli {

class Context;

/// Reads the settings tables of the configuration and prints what was learned for each source, at the prices of the
/// environment. A table that cannot be read is said in one line. Throws only what printing throws, and
/// Error{cancelled}.
void print_learned_levels(Context& context, const config::ReplicationConfig& config);

}  // namespace bale::cli
