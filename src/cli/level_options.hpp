// Compression levels that are chosen by money: what the command line and the environment say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/replication.hpp"
#include "service/levels.hpp"

namespace bale::cli {

class Context;

/// The value of --level; absent for "auto", which is what nothing means, too, unless the store is on this machine: it
/// pays for no transfer. Throws Error{invalid} for anything else than "auto" and levels.
std::optional<int> level_of(const std::string& text, bool is_local);

/// The value of --levels, "0,3,9-12": each level once, ascending. Throws Error{invalid} for what is none.
std::vector<int> levels_of(std::string_view text);

/// The prices of the environment; those that are none are logged and left out.
compression::Prices configured_prices(Context& context);

/// What levels are chosen by: prices from the environment, memory, and the processor, which is measured for up to two
/// seconds, or a fifth of one before a short run. Prices that are none are logged and left out.
service::LevelOptions level_options(Context& context, const config::ReplicationConfig& config, bool is_short_run);

}  // namespace bale::cli
