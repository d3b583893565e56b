// What S3 accepts: pure checks of requests, which every kind of the port makes before it does anything. All throw
// Error{invalid} with S3's code unless they say otherwise.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "store/object_store.hpp"

namespace bale::store {

/// At most 10 tags; keys 1-128, values 0-256 Unicode characters. InvalidTag.
void check_tags(const Tags& tags);
/// Metadata (MetadataTooLarge), tags, storage class (InvalidStorageClass), encryption
/// (InvalidEncryptionAlgorithmError).
void check_attributes(const ObjectAttributes& attributes);
/// Whether objects of this class can only be read after a restore.
bool is_archive_class(std::string_view storage_class) noexcept;
/// Part numbers are 1-10,000. InvalidArgument.
void check_part_number(std::uint32_t number);
/// The list of a complete request: not empty (MalformedXML), strictly ascending (InvalidPartOrder), numbers legal.
void check_part_order(const std::vector<UploadedPart>& parts);
/// Checks the checksum of a complete request: of uploads in parts, S3 keeps CRCs of the whole object, but SHA checksums
/// of the parts' checksums only. InvalidRequest.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
void check_whole_checksum(const std::optional<Checksum>& checksum);
/// EntityTooLarge above `max_part_bytes`.
void check_upload_size(ByteCount size);
/// A copy of an object onto itself has to change something. InvalidRequest.
void check_copy(const CopySource& from, const ObjectAddress& to, const std::optional<ObjectAttributes>& replace);
/// Whether a write is to happen where the current object has the tag `current` (absent: there is none).
/// Error{precondition} PreconditionFailed; Error{not_found} NoSuchKey for an If-Match where there is none.
void check_write_conditions(const std::optional<ETag>& current, const ObjectAddress& object,
                            const WriteConditions& conditions);

/// Checks the condition of a deletion where the current object has the tag `current` (absent: there is none). Throws as
/// ObjectStore::remove() says.
void check_delete_conditions(const std::optional<ETag>& current, const ObjectAddress& object,
                             const DeleteConditions& conditions);
/// A condition and a version exclude each other. InvalidRequest.
void check_remove(const ObjectAddress& object, const VersionId& version, const DeleteConditions& conditions);
/// One to max_removed_at_once objects. MalformedXML.
void check_remove_all(const std::vector<ObjectToRemove>& objects);

/// The part of an object that a range asks for.
struct Extent {
  ByteCount offset = 0;
  ByteCount length = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};
/// Throws InvalidRange for a range that no object has: no bytes, or the last before the first.
void check_range(const std::optional<ByteRange>& range);
/// Throws InvalidRange when nothing of an object of `size` bytes is in the range.
Extent resolve_range(const std::optional<ByteRange>& range, ByteCount size);

}  // namespace bale::store
