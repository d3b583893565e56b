// The part size that the AWS command line and Bale share in ~/.aws/config.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "os/world.hpp"

namespace bale::cloud {

/// Returns `multipart_chunksize` in the `s3 =` section of the profile that `profile` (--profile; may be empty) and the
/// environment choose; nullopt where it does not say. Throws Error{invalid} as store::parse_part_size() does, and for a
/// file that cannot be read.
std::optional<ByteCount> part_size_of_profile(os::World& world, const std::string& profile);

}  // namespace bale::cloud
