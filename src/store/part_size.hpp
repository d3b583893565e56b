// How large the parts of uploads are, as a person writes it.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace bale::store {

/// Reads a size as the AWS command line reads `multipart_chunksize`: a number of bytes, or with KB, MB, GB or TB (or
/// KiB, ...), each 1,024 times the one before. Throws Error{invalid}, with `where` as its place, for another text, and
/// for less than 5 MiB or more than 5 GiB, the limits of S3.
ByteCount parse_part_size(std::string_view text, const std::string& where);

}  // namespace bale::store
