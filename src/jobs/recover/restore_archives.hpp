// Archives of a storage class that cannot be read at once: asked for, and awaited.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"
#include "store/object_store.hpp"

namespace bale::recover {

/// How archives are asked for (RestoreObject).
struct ArchiveRequest {
  int days = 7;                   ///< how long they are to stay readable
  std::string tier = "Standard";  ///< Standard, Bulk or Expedited
  bool wait = true;               ///< false: asked for only; another run reads them
};

/// Whether an object can be read, best first.
enum class Access {
  readable,
  coming,  ///< asked for, not yet readable
  asleep,  ///< of an archive class, and not asked for
  gone,    ///< there is none
};

/// What HEAD tells of an object that is there. The storage class stays what it is after a restore: x-amz-restore
/// decides. Pure. https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
Access access_of(const store::ObjectInfo& info);

/// One of the copies of an archive.
struct ArchiveCopy {
  ObjectAddress address;
  Access access = Access::gone;
  std::string storage_class;
  ByteCount size = 0;
};

/// The copy that can be read soonest: one HEAD for each until one is readable. Of those asleep, GLACIER before
/// DEEP_ARCHIVE. Throws what the store throws.
ArchiveCopy best_copy(store::ObjectStore& store, const std::vector<ObjectAddress>& copies);

/// Asks for a copy that is asleep; that somebody else asked for it already is as good. Throws Error{invalid} where its
/// class does not have the tier, and what the store throws.
void ask_for(store::ObjectStore& store, const ArchiveCopy& copy, const ArchiveRequest& request);

/// How long S3 takes: "3 to 5 hours". Empty for what it does not document. Pure.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
std::string_view usual_wait(std::string_view storage_class, std::string_view tier);

}  // namespace bale::recover
