// The rows of a damaged catalog file, made anew from the archive that it speaks of.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "catalog/archive_buckets.hpp"
#include "catalog/record.hpp"
#include "catalog/scan.hpp"
#include "store/object_store.hpp"

namespace bale::recover {

/// What to do about an archive for which the store answered InvalidObjectState; else the hint of the store.
std::string hint_of_unreadable(const Error& error);

/// Reads the manifest at the end of the archive of a damaged catalog file (one request for most), and calls `visit`
/// with each row that the file had when it was written. Returns the archive. The archive is looked for in the buckets
/// that the file's sound rows name, then in `backup_buckets`, as far as `allowed` allows them. Throws the Error of the
/// archive that was found and cannot be read (of storage class GLACIER, say), Error{not_found} naming the places when
/// there is none. Not for archives of the reference, whose places do not follow from their catalog files.
/// `most_memory`: of the archive's list of objects; where it takes more, Error{unsupported}. Throws what `visit`
/// throws.
ObjectAddress read_stand_in(store::ObjectStore& store, const catalog::DamagedFile& file,
                            const std::vector<BucketName>& backup_buckets, const catalog::ArchiveBuckets& allowed,
                            ByteCount most_memory, const std::function<void(const catalog::Record&)>& visit);

}  // namespace bale::recover
