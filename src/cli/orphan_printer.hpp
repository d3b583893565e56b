// What a stack has that its configuration does not use, printed by several commands.
#pragma once

#include "cli/context.hpp"
#include "service/orphans.hpp"

namespace bale::cli {

/// Returns the ports of every region, as the command's options name them. Borrows the context.
service::Ports ports_of(Context& context);

/// Prints a table of what the configuration does not use, or a JSON line ("type": "orphan") for each; nothing where
/// there is nothing. Logs a warning for what could not be looked at.
void print_orphans(Context& context, const service::Orphans& orphans);

}  // namespace bale::cli
