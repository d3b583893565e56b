// What tells kinds of ObjectStore apart: named deviations from S3, each with a row in docs/testing.md.
#pragma once

#include <string_view>

namespace bale::testing {

/// What S3 does, and some servers do not.
struct AsS3 {
  static constexpr bool checks_archive_state = true;        ///< GLACIER is unreadable until restored
  static constexpr bool has_notifications = true;           ///< to queues()
  static constexpr bool counts_tag_characters = true;       ///< not their bytes
  static constexpr bool has_reduced_redundancy = true;      ///< knows this storage class
  static constexpr bool has_storage_classes = true;         ///< besides STANDARD
  static constexpr bool has_tags = true;                    ///< of objects, in requests of their own too
  static constexpr bool has_put_conditions = true;          ///< conditions of PUT and copy are one step with it
  static constexpr bool keeps_website_redirect = true;      ///< x-amz-website-redirect-location
  static constexpr bool has_s3_codes = true;                ///< where false: the kind of an error, but not its code
  static constexpr bool tells_missing_from_changed = true;  ///< If-Match without an object is NoSuchKey
  static constexpr bool tells_null_versions = true;         ///< a PUT while suspended says that its version is "null"
  static constexpr bool keeps_null_versions = true;         ///< while suspended, beside versions with a name
  static constexpr bool reads_null_versions = true;         ///< "null" is what was there before versions were kept
  static constexpr bool tells_part_bytes = true;            ///< ObjectInfo::part_bytes, with every answer
  /// The same, or a checksum of the whole, to ReadConditions::with_evidence.
  static constexpr bool tells_part_bytes_when_asked = true;
  static constexpr bool gives_copies_own_tags = true;       ///< the ETag of a copy in one part is its MD5
  static constexpr bool checks_if_match_of_uploads = true;  ///< where an object is replaced
  static constexpr bool leaves_out_parts = true;            ///< parts that are not listed do not hinder
  static constexpr bool checks_ranges_of_part_copies = true;
  static constexpr bool knows_ended_uploads = true;                ///< a part for one is NoSuchUpload
  static constexpr bool lists_markers_among_versions = true;       ///< and not after them
  static constexpr bool tells_removed_markers = true;              ///< that the version that was removed was a marker
  static constexpr bool checks_body_digests = true;                ///< Content-MD5
  static constexpr bool checks_signed_digests = true;              ///< the SHA-256 of the payload
  static constexpr bool names_signed_digests = true;               ///< XAmzContentSHA256Mismatch, not BadDigest
  static constexpr bool keeps_checksums = true;                    ///< x-amz-checksum-*: checked, kept, listed, told
  static constexpr bool checks_upload_size = true;                 ///< x-amz-mp-object-size
  static constexpr bool shows_versions_below_removed_many = true;  ///< DeleteObjects with version ids
  static constexpr bool removes_versioned_on_condition = true;     ///< If-Match of DELETE in a bucket with versions
  static constexpr bool dates_versions_when_written = true;        ///< and not when the request begins
  static constexpr bool tells_markers_of_many = true;              ///< DeleteObjects, of those that it makes
  static constexpr bool lists_restores = true;                     ///< RestoreStatus in listings
  static constexpr bool takes_encryption = true;                   ///< x-amz-server-side-encryption of an object
  static constexpr bool sends_once = true;                         ///< where nothing fails
  /// Whether an object of this key can be read again.
  static constexpr bool takes_key(std::string_view) { return true; }
};

}  // namespace bale::testing
