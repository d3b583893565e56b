// Archives of a storage class that cannot be read at once: which copy to take, and how it is asked for.
#pragma once

#include <string>
#include <vector>

#include "base/names.hpp"
#include "store/object_store.hpp"
#include "transfer/archived_object.hpp"

namespace bale::recover {

using transfer::Access;

/// How archives are asked for.
struct ArchiveRequest : transfer::RestoreRequest {
  bool wait = true;  ///< false: asked for only; another run reads them
};

/// One of the copies of an archive.
struct ArchiveCopy {
  ObjectAddress address;
  Access access = Access::absent;
  std::string storage_class;
  ByteCount size = 0;
};

/// Returns the copy that can be read soonest: one HEAD for each until one is readable. Of archived ones, GLACIER before
/// DEEP_ARCHIVE. Throws what the store throws.
ArchiveCopy best_copy(store::ObjectStore& store, const std::vector<ObjectAddress>& copies);

}  // namespace bale::recover
