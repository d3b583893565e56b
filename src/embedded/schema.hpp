// The tables of the embedded backend.
#pragma once

#include <string>

#include "embedded/database.hpp"

namespace bale::embedded {

/// Makes the tables where they are missing. A store that has no identity yet gets `new_identity`, which must be random.
/// Safe against other processes that do the same. Throws Error{unsupported} when the directory was written by a newer
/// version of Bale.
void prepare_schema(Database& database, const std::string& new_identity);

}  // namespace bale::embedded
