// manifest.json: what is in an archive, and where it is to go. See docs/format/manifest.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "store/object_store.hpp"

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

/// One object. Members that archives of the reference lack are empty or 0 there.
struct ManifestObject {
  BucketName source_bucket;
  std::string source_prefix;  ///< the monitored prefix, without trailing '/'; "" is the root
  std::string object_name;    ///< last component of the key; empty for keys that end in '/'
  std::string relative_key;   ///< the key minus prefix and the '/' behind it
  ObjectKey key;              ///< the full key
  std::string member;         ///< name of the tar member
  TimePoint last_modified{};  ///< also creation_time, to the second
  /// When the key began to have this content, where that is later: an older version came back, or a multipart upload
  /// ended, whose object is dated by its begin.
  std::optional<TimePoint> current_since;
  ETag etag;
  ByteCount size = 0;
  std::string storage_class = "STANDARD";
  store::Tags tags;
  VersionId version_id;
  std::string sequencer;  ///< of the event that brought it; empty after a backfill
  store::SystemHeaders headers;
  store::UserMetadata metadata;
  std::string sha256;                    ///< lower-case hex
  std::optional<ByteCount> data_offset;  ///< of the first byte of the object in the tar stream
  /// Members of the same name in front of `member`, not to be taken for it: archives of the reference may hold a key
  /// several times, once for each of its events in a batch.
  std::size_t members_before = 0;
  friend bool operator==(const ManifestObject&, const ManifestObject&) = default;
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
  std::vector<ManifestObject> objects;
  std::vector<Deletion> deletions;  ///< left out of the JSON when empty
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// Deterministic: equal manifests give equal bytes.
std::string to_json(const Manifest& manifest);
/// Throws Error{corrupt} naming the member that is wrong. Accepts the reference's manifests and both forms of tags;
/// ignores members it does not know. Of objects that the reference names several times the newest is in the result.
Manifest parse_manifest(std::string_view json);

}  // namespace bale::archive
