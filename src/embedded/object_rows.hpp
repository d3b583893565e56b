// Buckets, versions and uploads as rows, and the changes that S3's operations make to them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "embedded/commit_queue.hpp"
#include "embedded/database.hpp"
#include "embedded/notifications.hpp"
#include "embedded/object_path.hpp"
#include "store/object_store.hpp"

namespace bale::embedded {

struct BucketRow {
  std::int64_t id = 0;
  BucketName name;
  Region region;
  TimePoint created{};
  store::Versioning versioning = store::Versioning::never;
  std::string rules;  ///< JSON
};
std::optional<BucketRow> find_bucket(Database& database, const BucketName& bucket);
/// Throws Error{not_found} NoSuchBucket.
BucketRow require_bucket(Database& database, const BucketName& bucket);

/// The attributes of an object as they are kept: JSON, or empty where there is nothing to keep.
struct StoredAttributes {
  std::string storage_class;
  std::string attributes;  ///< headers, metadata, key, checksum, size of the parts
  std::string tags;
};
/// `checksum` is that of the object's bytes; absent where none is known.
StoredAttributes to_stored(const store::ObjectAttributes& attributes,
                           const std::optional<store::Checksum>& checksum = {});
/// The attributes of an upload in parts, with the algorithm that it is begun with.
StoredAttributes to_stored_upload(const store::ObjectAttributes& attributes);
/// Returns the checksum stored with the object; nullopt if the row has no checksum.
std::optional<store::Checksum> checksum_of(const StoredAttributes& stored);
/// Returns the algorithm of that checksum, from StoredAttributes::attributes alone; nullopt as checksum_of().
std::optional<store::Checksum::Algorithm> checksum_algorithm_of(std::string_view attributes);
store::ObjectAttributes from_stored(const StoredAttributes& stored);
/// Makes the attributes of an upload those of its object: with its checksum, and the size of the parts that it was put
/// together of, 0: unlike ones.
void complete_attributes(StoredAttributes& stored, const std::optional<store::Checksum>& checksum,
                         ByteCount part_bytes);
std::string tags_to_json(const store::Tags& tags);
store::Tags tags_from_json(std::string_view json);

struct VersionRow {
  std::int64_t id = 0;  ///< greater is newer
  VersionId version;    ///< "null" where it was written without versioning
  bool latest = false;
  bool marker = false;
  FileId file;
  ByteCount size = 0;
  ETag etag;
  TimePoint modified{};
  StoredAttributes stored;
  std::optional<TimePoint> restored_until;
};
/// The version asked for, or the latest; delete markers too.
std::optional<VersionRow> find_version(Database& database, const BucketRow& bucket, const ObjectKey& key,
                                       const VersionId& version = {});
/// The object that a read gets. Throws Error{not_found} NoSuchKey or NoSuchVersion (delete markers are not there) and
/// Error{precondition}.
VersionRow require_object(Database& database, const BucketRow& bucket, const ObjectAddress& object,
                          const store::ReadConditions& conditions);
/// Throws Error{denied} InvalidObjectState when the object is archived and not restored at `now`.
void check_readable(const VersionRow& row, const ObjectAddress& object, TimePoint now);
store::ObjectInfo to_info(const BucketRow& bucket, const VersionRow& row, TimePoint now);
/// The version as it is shown: empty where the bucket never had versioning.
VersionId shown_version(const BucketRow& bucket, const VersionId& version);

/// Throws Error{precondition} PreconditionFailed, or Error{not_found} NoSuchKey for If-Match on nothing.
void check_write_conditions(const std::optional<VersionRow>& current, const ObjectAddress& object,
                            const store::WriteConditions& conditions);

/// A version whose data are in place, about to become an object.
struct NewVersion {
  FileId file;
  ByteCount size = 0;
  ETag etag;
  StoredAttributes stored;
  const char* event = "";  ///< "ObjectCreated:Put"
};
/// What a change of versions did. The files of `replaced` belong to nobody once it is committed.
struct VersionChange {
  VersionId version;  ///< as it is shown
  bool delete_marker = false;
  std::vector<FileId> replaced;
};

/// Makes a version the latest of its key, replaces what it replaces, and sends the notifications.
/// Throws as check_write_conditions and require_bucket do.
VersionChange insert_version(WriteContext& context, const ObjectAddress& object, const NewVersion& version,
                             const store::WriteConditions& conditions, TimePoint now);
/// Deletes without a version: the object, or adds a delete marker. Throws as store::check_delete_conditions() does.
VersionChange delete_object(WriteContext& context, const ObjectAddress& object,
                            const store::DeleteConditions& conditions, TimePoint now, const FileId& new_id);
/// Deletes one version for good.
VersionChange delete_version(WriteContext& context, const ObjectAddress& object, const VersionId& version,
                             TimePoint now);

struct UploadRow {
  StoredAttributes stored;
  std::optional<std::int64_t> slot_bytes;
  std::optional<store::Checksum::Algorithm> algorithm;  ///< of the checksums of its parts and its object
};
/// Throws Error{not_found} NoSuchUpload, NoSuchBucket.
UploadRow require_upload(Database& database, const ObjectAddress& object, const UploadId& upload);

struct PartRow {
  std::uint32_t number = 0;
  ETag etag;
  ByteCount size = 0;
  std::string file;  ///< empty: in its slot of the shared file
  std::optional<store::Checksum> checksum = {};
  friend bool operator==(const PartRow&, const PartRow&) = default;
};
/// `algorithm` is that of the upload.
std::vector<PartRow> find_parts(Database& database, const UploadId& upload,
                                const std::optional<store::Checksum::Algorithm>& algorithm);
/// Adds a part, or replaces the one of its number.
void insert_part(Database& database, const UploadId& upload, const PartRow& part);
/// Forgets an upload and its parts.
void delete_upload(Database& database, const UploadId& upload);

}  // namespace bale::embedded
