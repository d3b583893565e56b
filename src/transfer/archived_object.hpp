// Objects in archives (GLACIER, DEEP_ARCHIVE, the archive tiers of INTELLIGENT_TIERING): whether they can be read now,
// and the request that makes them readable.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/object_store.hpp"

namespace bale::transfer {

/// How a restore is requested (RestoreObject).
struct RestoreRequest {
  int days = 7;                   ///< how long the object is to stay readable; INTELLIGENT_TIERING has no such limit
  std::string tier = "Standard";  ///< Standard, Bulk or Expedited
};

/// Whether an object can be read, the best first.
enum class Access {
  readable,
  restoring,  ///< a restore was requested and has not ended
  archived,   ///< a restore has to be requested
  absent,     ///< there is no object
};

/// Parses x-amz-restore: `ongoing-request="true"`, or `ongoing-request="false", expiry-date="..."`. Returns nullopt for
/// other text, the empty one included. Pure. https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
std::optional<store::ListedRestore> parse_restore(std::string_view header);

/// Decides by what HEAD tells of an object that is there. The storage class of an object stays what it is after a
/// restore: x-amz-restore counts. Pure.
Access access_of(const store::ObjectInfo& info);

/// The same by a listing that was asked for restores (ListRequest::with_restore_status), from a store that tells them
/// (AWS does; others leave restored objects looking archived, and a HEAD tells). Returns nullopt for
/// INTELLIGENT_TIERING, whose archive tiers only a HEAD tells. Pure.
std::optional<Access> access_of(const store::ListedObject& object);

/// What a request for a restore met.
enum class RestoreOutcome {
  requested,    ///< by this request
  in_progress,  ///< somebody else's request is under way
  readable,     ///< the object was in no archive tier (any more)
};

/// Requests the restore of an object in an archive of this storage class. Throws Error{invalid} where the class does
/// not have the tier, and what the store throws.
RestoreOutcome request_restore(store::ObjectStore& store, const ObjectAddress& object, const VersionId& version,
                               std::string_view storage_class, const RestoreRequest& request);

/// Returns how long a restore takes: "3 to 5 hours". Empty for what S3 does not document. Pure.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
std::string_view usual_wait(std::string_view storage_class, std::string_view tier);

}  // namespace bale::transfer
