// Removes what processes that died left behind.
#pragma once

#include "embedded/core.hpp"

namespace bale::embedded {

/// Removes data files that dead processes had in doubt and that no row names, and the parts of uploads that are gone.
/// Safe while other processes work in the same directory. After a restart of the machine, when journals may have lost
/// their last lines, all data files are looked at.
void sweep_leftovers(Core& core);

}  // namespace bale::embedded
