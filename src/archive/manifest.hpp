// manifest.json: what is in an archive, and where it is to go. See docs/format/manifest.md.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/memory_share.hpp"
#include "archive/object_list.hpp"
#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::archive {

/// A destination of the archive's objects.
struct Target {
  Region region;
  BucketName bucket;
  std::string kms_key_arn;    ///< empty: the bucket's default
  std::string storage_class;  ///< empty: each object keeps its own
  bool backup = false;        ///< the archive itself is stored, not its objects
  friend bool operator==(const Target&, const Target&) = default;
};

/// A key that was deleted at the source (`track_deletes`): recorded in the catalog, nothing is done at destinations.
struct Deletion {
  BucketName source_bucket;
  std::string source_prefix;
  ObjectKey key;
  VersionId version_id;  ///< of the delete marker, or of the version that was removed
  std::string sequencer;
  TimePoint time{};
  friend bool operator==(const Deletion&, const Deletion&) = default;
};

struct Manifest {
  int version = 1;  ///< 0: written by the reference, which has no version
  Region source_region;
  TimePoint created{};
  int level = 0;
  std::vector<Target> targets;
  ObjectList objects;
  std::vector<Deletion> deletions;  ///< left out of the JSON when empty
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// Deterministic: equal manifests give equal bytes.
std::string to_json(const Manifest& manifest);

/// The text of a manifest, made object by object: for those who do not have all objects at once. Gives what to_json()
/// gives. Not thread-safe.
class ManifestWriter {
 public:
  /// `head`: the manifest without its objects and deletions, which are not looked at.
  explicit ManifestWriter(const Manifest& head);
  /// Objects come first.
  void add(const ManifestObject& object);
  void add(const Deletion& deletion);
  /// The whole text. Call once, at the end.
  std::string take();

 private:
  const Region source_region_;
  std::string text_, deletions_;
  bool has_objects_ = false;
};

/// Reads a manifest out of pieces of its text. `next` gives the next piece, and nothing at the end; it is called until
/// then. Counts the memory of the result in `memory`. Accepts the reference's manifests and both forms of tags; ignores
/// members it does not know. Of objects that the reference names several times the newest is in the result. Throws
/// Error{corrupt} naming the member that is wrong, or that exceeds a bound of json_elements.hpp; Error{unsupported}
/// where the version is newer, and where the objects take more memory than their share; what `next` throws.
Manifest parse_manifest(const std::function<std::string_view()>& next, MemoryShare& memory);
/// The same, of a text in memory, with the largest share that a reader has by itself.
Manifest parse_manifest(std::string_view json);

}  // namespace bale::archive
