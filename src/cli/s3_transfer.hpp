// The size of the parts that the commands move objects in.
#pragma once

#include <string>

#include "cli/context.hpp"
#include "transfer/object_mover.hpp"

namespace bale::cli {

using transfer::part_bytes;

/// Returns how large the parts of uploads at least are: `option`, the value of --part-size, else `multipart_chunksize`
/// of the profile (not with --local), else part_bytes. Throws Error{invalid} for what is no size of parts.
ByteCount chosen_part_size(Context& context, const std::string& option);

/// Returns what objects are moved with: the context's store, pools, memory and world. `progress` is borrowed.
transfer::MoveTools move_tools(Context& context, flow::Progress& progress);

}  // namespace bale::cli
