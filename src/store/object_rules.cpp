#include "store/object_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
constexpr std::size_t most_tag_key_characters = 128, most_tag_value_characters = 256;
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-storage-class
constexpr std::array<std::string_view, 8> storage_classes = {
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA",
    "GLACIER",  "DEEP_ARCHIVE",       "GLACIER_IR",  "INTELLIGENT_TIERING"};

Error refuse(const char* code, std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code(code); }

/// Characters as S3 counts them: Unicode code points.
std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

void check_metadata(const UserMetadata& metadata) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) {
    if (name.empty() || !is_utf8(name) || !is_utf8(value))
      throw refuse("InvalidArgument", fmt::format("the user metadata '{}' is not text", escape_for_terminal(name)));
    bytes += name.size() + value.size();
  }
  if (bytes > max_user_metadata_bytes) {
    throw refuse("MetadataTooLarge",
                 fmt::format("the user metadata have {} bytes; S3 allows {}", bytes, max_user_metadata_bytes));
  }
}

void check_headers(const SystemHeaders& headers) {
  for (const std::string* value :
       {&headers.content_type, &headers.cache_control, &headers.content_disposition, &headers.content_encoding,
        &headers.content_language, &headers.expires, &headers.website_redirect}) {
    if (!is_utf8(*value) || value->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      throw refuse("InvalidArgument", fmt::format("'{}' is not a header's value", escape_for_terminal(*value)));
  }
}

}  // namespace

void check_tags(const Tags& tags) {
  if (tags.size() > max_tags) {
    throw refuse("BadRequest", fmt::format("{} tags; S3 allows {} for an object", tags.size(), max_tags));
  }
  for (const auto& [key, value] : tags) {
    if (!is_utf8(key) || !is_utf8(value) || key.empty() || count_characters(key) > most_tag_key_characters ||
        count_characters(value) > most_tag_value_characters) {
      throw refuse("InvalidTag",
                   fmt::format("the tag '{}' is not one that S3 takes: keys have 1-128 characters, values "
                               "at most 256",
                               escape_for_terminal(key)));
    }
  }
}

void check_attributes(const ObjectAttributes& attributes) {
  check_metadata(attributes.metadata);
  check_headers(attributes.headers);
  check_tags(attributes.tags);
  if (std::find(storage_classes.begin(), storage_classes.end(), attributes.storage_class) == storage_classes.end()) {
    throw refuse("InvalidStorageClass", fmt::format("'{}' is not a storage class", attributes.storage_class))
        .with_hint("use STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER or DEEP_ARCHIVE");
  }
  const std::string& encryption = attributes.encryption;
  if (!encryption.empty() && encryption != "AES256" && encryption != "aws:kms") {
    throw refuse("InvalidEncryptionAlgorithmError",
                 fmt::format("'{}' is not an encryption", escape_for_terminal(encryption)))
        .with_hint("use AES256 or aws:kms");
  }
  if (!is_utf8(attributes.kms_key_arn)) throw refuse("InvalidArgument", "the encryption key is not text");
}

bool is_archive_class(std::string_view storage_class) noexcept {
  return storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE";
}

void check_part_number(std::uint32_t number) {
  if (number < 1 || number > max_parts)
    throw refuse("InvalidArgument", fmt::format("part {} of an upload: parts are numbered 1-10000", number));
}

void check_part_order(const std::vector<UploadedPart>& parts) {
  if (parts.empty()) throw refuse("MalformedXML", "an upload is completed with at least one part");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    check_part_number(parts[i].number);
    if (i > 0 && parts[i].number <= parts[i - 1].number)
      throw refuse("InvalidPartOrder", fmt::format("part {} after part {}", parts[i].number, parts[i - 1].number));
  }
}

void check_whole_checksum(const std::optional<Checksum>& checksum) {
  using Algorithm = Checksum::Algorithm;
  if (!checksum || (checksum->algorithm != Algorithm::sha1 && checksum->algorithm != Algorithm::sha256)) return;
  throw refuse("InvalidRequest", "an upload in parts has no SHA checksum of the whole object")
      .with_hint("use CRC64NVME, CRC32C or CRC32");
}

void check_upload_size(ByteCount size) {
  if (size <= max_part_bytes) return;
  throw refuse("EntityTooLarge",
               fmt::format("{} at once; S3 takes {}", format_bytes(size), format_bytes(max_part_bytes)))
      .with_hint("use a multipart upload");
}

void check_copy(const CopySource& from, const ObjectAddress& to, const std::optional<ObjectAttributes>& replace) {
  if (from.address != to || !from.version_id.empty() || replace) return;
  throw refuse("InvalidRequest", "a copy of an object onto itself must change something")
      .with_where(to_uri(to))
      .with_hint("give new attributes");
}

void check_write_conditions(const std::optional<ETag>& current, const ObjectAddress& object,
                            const WriteConditions& conditions) {
  if (!conditions.if_match.empty() && !current)
    throw Error(ErrorKind::not_found, "there is no such object", to_uri(object)).with_code("NoSuchKey");
  if ((conditions.if_none_match && current) || (!conditions.if_match.empty() && conditions.if_match != *current)) {
    throw Error(ErrorKind::precondition, "the condition of the write does not hold", to_uri(object))
        .with_code("PreconditionFailed");
  }
}

void check_delete_conditions(const std::optional<ETag>& current, const ObjectAddress& object,
                             const DeleteConditions& conditions) {
  check_write_conditions(current, object, {.if_match = conditions.if_match});
}

void check_remove(const ObjectAddress& object, const VersionId& version, const DeleteConditions& conditions) {
  if (version.empty() || conditions.if_match.empty()) return;
  throw refuse("InvalidRequest", "a version is deleted without a condition").with_where(to_uri(object));
}

void check_remove_all(const std::vector<ObjectToRemove>& objects) {
  if (!objects.empty() && objects.size() <= max_removed_at_once) return;
  throw refuse("MalformedXML",
               fmt::format("{} objects to delete at once; S3 takes 1-{}", objects.size(), max_removed_at_once));
}

void check_range(const std::optional<ByteRange>& range) {
  if (!range) return;
  if (range->suffix ? *range->suffix == 0 : range->last < range->first)
    throw refuse("InvalidRange", "the range has no bytes");
}

Extent resolve_range(const std::optional<ByteRange>& range, ByteCount size) {
  check_range(range);
  if (!range) return {0, size};
  if (range->suffix ? size == 0 : range->first >= size)
    throw refuse("InvalidRange", fmt::format("the range is outside of the object's {} bytes", size));
  if (range->suffix) {
    const ByteCount length = std::min(*range->suffix, size);
    return {size - length, length};
  }
  return {range->first, std::min(range->last, size - 1) - range->first + 1};
}

}  // namespace bale::store
