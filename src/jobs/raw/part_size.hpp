// The part size of a raw file's upload. Pure.
#pragma once

#include "base/bytes.hpp"

namespace bale::raw {

/// Returns the part size for a file of `size` bytes: `configured`, doubled until the file has at most 10,000 parts, as
/// boto3 and the AWS command line do it, so that all of them give one ETag; at most 5 GiB. Throws Error{invalid} for a
/// file that no upload can hold: more than 10,000 parts of 5 GiB.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
ByteCount part_size_of(ByteCount size, ByteCount configured);

}  // namespace bale::raw
