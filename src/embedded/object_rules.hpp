// What S3 accepts: pure checks of requests. All throw Error{invalid} with S3's code unless they say otherwise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/object_store.hpp"

namespace bale::embedded {

/// At most 10 tags; keys 1-128, values 0-256 Unicode characters. InvalidTag.
void check_tags(const store::Tags& tags);
/// Metadata (MetadataTooLarge), tags, storage class (InvalidStorageClass).
void check_attributes(const store::ObjectAttributes& attributes);
/// Whether objects of this class can only be read after a restore.
bool is_archive_class(std::string_view storage_class) noexcept;
/// Part numbers are 1-10,000. InvalidArgument.
void check_part_number(std::uint32_t number);
/// The list of a complete request: not empty (MalformedXML), strictly ascending (InvalidPartOrder), numbers legal.
void check_part_order(const std::vector<store::UploadedPart>& parts);
/// EntityTooLarge above `store::max_part_bytes`.
void check_upload_size(ByteCount size);

/// The part of an object that a range asks for.
struct Extent {
  ByteCount offset = 0;
  ByteCount length = 0;
};
/// Throws InvalidRange when nothing of the object is in the range.
Extent resolve_range(const std::optional<store::ByteRange>& range, ByteCount size);

/// The text of x-amz-restore for a restored copy that is kept until a time.
std::string restore_header(TimePoint until);

}  // namespace bale::embedded
