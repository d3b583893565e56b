// The tables of the embedded backend.
#pragma once

#include "embedded/database.hpp"

namespace bale::embedded {

/// Makes the tables where they are missing. Safe against other processes that do the same. Throws Error{unsupported}
/// when the directory was written by a newer version of Bale.
void prepare_schema(Database& database);

}  // namespace bale::embedded
