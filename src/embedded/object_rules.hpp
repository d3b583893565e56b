// Texts that S3 makes, as this store makes them. What S3 accepts is in store/object_rules.hpp.
#pragma once

#include <string>
#include <vector>

#include "store/object_store.hpp"

namespace bale::embedded {

/// The text of x-amz-restore for a restored copy that is kept until a time.
std::string restore_header(TimePoint until);

}  // namespace bale::embedded
