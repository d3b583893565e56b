// The members of an archive, read from the objects of a bucket.
#pragma once

#include <optional>
#include <vector>

#include "archive/writer.hpp"
#include "jobs/pack/packer.hpp"
#include "store/object_store.hpp"

namespace bale::pack {

/// What reading an object told about it.
struct FetchedObject {
  std::optional<store::ObjectInfo> info;  ///< set once its first byte was asked for
  store::Tags tags;
  bool tags_failed = false;  ///< the object could be read, its tags could not
};

/// Reads each object by ranged GETs that all ask for the same version: by version id where there is one, else by
/// If-Match. Thread-safe as MemberSource demands. The store is borrowed.
class ObjectMembers final : public archive::MemberSource {
 public:
  ObjectMembers(store::ObjectStore& store, const BucketName& bucket, std::vector<Item> items);
  /// Throws Error{precondition} when the object is not the announced one any more, Error{not_found} when it is gone.
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override;
  /// Valid once all fetches of the member are done.
  const FetchedObject& fetched(std::size_t index) const { return fetched_[index]; }

 private:
  store::ObjectStore& store_;
  BucketName bucket_;
  std::vector<Item> items_;
  std::vector<FetchedObject> fetched_;  ///< each written by the one fetch that starts at offset 0
};

}  // namespace bale::pack
