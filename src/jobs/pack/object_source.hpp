// The members of an archive, read from the objects of a bucket.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/writer.hpp"
#include "base/mutex.hpp"
#include "jobs/pack/packer.hpp"
#include "store/content_check.hpp"
#include "store/object_store.hpp"

namespace bale::pack {

/// What reading an object told about it.
struct FetchedObject {
  std::optional<store::ObjectInfo> info;  ///< set once its first byte was asked for
  store::Tags tags;
  bool tags_failed = false;  ///< the object could be read, its tags could not
  /// Of an object that was read whole, in the place of `info` and `tags`: as archive::pack_attributes() gives them.
  std::string packed;
};

/// Sets in `entry` what reading the object told about it.
void take_attributes(const FetchedObject& fetched, archive::ManifestObject& entry);

/// The Error::code() of a fetch that was put off: the descriptions of the objects that were read before have reached
/// their bound. The object goes into the next archive.
inline constexpr std::string_view put_off_code = "PutOff";

/// Reads each object by GETs that all ask for the same version: by version id where there is one, else by If-Match; the
/// ETag of every answer is held against the one that was announced. The bytes of each object are held against the
/// evidence that the store gives of them (store::ContentCheck): those of one GET by the store's stream, those of
/// several here. An object of which the store gives no evidence is read as it is. Thread-safe as MemberSource demands.
/// The store is borrowed.
class ObjectMembers final : public archive::MemberSource {
 public:
  /// `description_bytes`: see PackPlan.
  ObjectMembers(store::ObjectStore& store, const BucketName& bucket, std::vector<Item> items,
                ByteCount description_bytes);
  /// Throws Error with put_off_code, for an object of a single call, when the objects that were read before have
  /// reached `description_bytes`; Error{precondition} when the object is not the announced one any more,
  /// Error{not_found} when it is gone, and Error{corrupt} when its bytes are not those that the store says, twice.
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override;
  /// Throws Error{corrupt} after the last byte of an object whose bytes are not those that the store says.
  void passed(std::size_t index, ByteCount offset, ByteView bytes) override;
  /// Valid once all fetches of the member are done.
  const FetchedObject& fetched(std::size_t index) const { return fetched_[index]; }
  /// Frees the attributes of a member whose fetches are done.
  void forget_attributes(std::size_t index);

 private:
  /// What is asked for by HEAD, of an object whose GET does not tell enough.
  struct Evidence {
    std::once_flag asked;
    store::ObjectInfo info;
    std::optional<store::ContentCheck> check;  ///< of an object that is read in ranges
  };
  void describe(std::size_t index);
  TimePoint fetch_once(std::size_t index, ByteCount offset, MutableBytes into);
  Evidence& evidence_of(std::size_t index);
  ObjectAddress address(std::size_t index) const { return {bucket_, items_[index].key}; }

  store::ObjectStore& store_;
  BucketName bucket_;
  std::vector<Item> items_;
  const ByteCount description_bytes_;
  std::atomic<ByteCount> described_{0};  ///< bytes of the descriptions of what was read
  std::vector<FetchedObject> fetched_;   ///< each written by the one fetch that starts at offset 0
  Mutex mutex_;
  std::vector<std::unique_ptr<Evidence>> evidence_ BALE_GUARDED_BY(mutex_);  ///< by item; null until it is wanted
};

}  // namespace bale::pack
