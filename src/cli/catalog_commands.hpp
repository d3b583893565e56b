// The commands below `catalog`, one file each; search is in catalog_command.cpp.
#pragma once

#include "cli/commands.hpp"

namespace bale::cli {

void add_catalog_sync_command(CLI::App& catalog, Action& action);   // catalog_sync_command.cpp
void add_catalog_sql_command(CLI::App& catalog, Action& action);    // catalog_sql_command.cpp
void add_catalog_stats_command(CLI::App& catalog, Action& action);  // catalog_stats_command.cpp

}  // namespace bale::cli
