// Whose object is there: what a writer asks whose answer was lost. Pure.
#pragma once

#include <optional>
#include <vector>

#include "store/object_store.hpp"

namespace bale::store {

/// What an object says about who wrote it.
enum class Whose {
  ours,     ///< content and user metadata are those of the writer
  others,   ///< they are not, or there is no object
  unknown,  ///< its ETag is no digest of its content (KMS keys, other stores' rules)
};

/// Whether the ETag has the form of an MD5: an object written by one request, not encrypted with a KMS key.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
bool is_md5(const ETag& etag) noexcept;

/// ETag that S3 gives an upload of these parts, one part included: md5 of the parts' MD5s and their number. Absent when
/// a part's ETag is no MD5. The page is the one above.
std::optional<ETag> multipart_etag(const std::vector<UploadedPart>& parts);

/// ETag that S3 gives a PUT of the body. Reads the body to its end, from its start, unless it tells its MD5.
ETag content_etag(Body& body);

/// Whose object `found` is, seen from the writer of `size` bytes of user metadata `metadata`. `etag` is asked for the
/// writer's own tag only when everything else agrees; absent means that it cannot be told. Equal content with equal
/// metadata counts as the writer's own: nobody could tell them apart.
template <typename OwnEtag>
Whose whose_object(const std::optional<ObjectInfo>& found, ByteCount size, const UserMetadata& metadata,
                   OwnEtag own_etag) {
  if (!found || found->size != size || found->metadata != metadata) return Whose::others;
  if (!is_md5(found->etag)) return Whose::unknown;
  const std::optional<ETag> own = own_etag();
  if (!own) return Whose::unknown;
  return found->etag == *own ? Whose::ours : Whose::others;
}

}  // namespace bale::store
