// The pool: the directory of local copies. Whether it is there, and what is in it.
#pragma once

#include "jobs/raw/record.hpp"
#include "os/files.hpp"

namespace bale::raw {

inline constexpr const char* pool_is_missing = "PoolMissing";

/// Whether a path is the pool or below it, symbolic links resolved where the paths exist. False for an empty pool.
bool is_in_pool(os::Files& files, const os::fs::path& pool, const os::fs::path& path);

/// Makes sure that local copies go to the pool that is meant, before the first byte is copied. A pool that is missing
/// or empty is taken for a disk that is not mounted where a record names a local copy in it: Error{unavailable} with
/// pool_is_missing. One that no record names is made where the directory that it is in is there; else
/// Error{precondition} with pool_is_missing. With `create` it is made in any case, with its parents. Reads the records
/// only where the pool is missing or empty. Borrows all.
void require_pool(os::Files& files, const os::fs::path& pool, RawRecords& records, bool create);

}  // namespace bale::raw
