// Removes what processes that died left behind.
#pragma once

#include "embedded/core.hpp"

namespace bale::embedded {

/// Removes data files that dead processes had in doubt and that no row names, and the parts of uploads that are gone.
/// Safe while other processes work in the same directory. All data files are looked at after a restart of the machine,
/// when journals may have lost their last lines, where the database is older than the files, and where its age is not
/// known.
void sweep_leftovers(Core& core);

}  // namespace bale::embedded
