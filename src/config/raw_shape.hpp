// The shape of the configuration of raw file backup: see schema.hpp.
#pragma once

#include "config/schema.hpp"

namespace bale::config {

/// The file: its section `backup` is checked, others are passed over. Made on first use. Thread-safe.
const Shape& raw_shape();
/// The section's member.
const Member& backup_member();

}  // namespace bale::config
