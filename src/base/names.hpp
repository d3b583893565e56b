// Strong types for the strings that must not be swapped.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace bale {

/// A string of one meaning. Compares bytewise, as S3 orders keys. Made explicitly, read with str().
template <typename Tag>
class Named {
 public:
  Named() = default;
  explicit Named(std::string value) : value_(std::move(value)) {}
  explicit Named(std::string_view value) : value_(value) {}
  explicit Named(const char* value) : value_(value) {}

  const std::string& str() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }
  friend auto operator<=>(const Named&, const Named&) = default;
  friend bool operator==(const Named&, const Named&) = default;

 private:
  std::string value_;
};

using BucketName = Named<struct BucketNameTag>;
/// The name of an object: any bytes, not a path. `a//b`, `../x` and `a/` are different, ordinary keys.
using ObjectKey = Named<struct ObjectKeyTag>;
using Region = Named<struct RegionTag>;
/// An entity tag without its quotes.
using ETag = Named<struct ETagTag>;
/// An object version; "null" is the version of objects written without versioning.
using VersionId = Named<struct VersionIdTag>;
using UploadId = Named<struct UploadIdTag>;
using QueueName = Named<struct QueueNameTag>;
/// Proof that a message was received; only the newest receipt of a message deletes it.
using Receipt = Named<struct ReceiptTag>;
using TableName = Named<struct TableNameTag>;

/// An object's full address.
struct ObjectAddress {
  BucketName bucket;
  ObjectKey key;
  friend auto operator<=>(const ObjectAddress&, const ObjectAddress&) = default;
};

/// "s3://bucket/key", for messages.
std::string to_uri(const BucketName& bucket, const ObjectKey& key);
std::string to_uri(const ObjectAddress& address);

/// Reads "s3://bucket" or "s3://bucket/key"; the key is taken byte for byte and may be empty.
/// Throws Error{invalid} when the scheme or the bucket is missing.
ObjectAddress parse_s3_uri(std::string_view uri);
/// Whether the text starts with "s3://".
bool is_s3_uri(std::string_view text) noexcept;

/// Throws Error{invalid} unless `name` is a legal general-purpose bucket name: 3-63 of a-z 0-9 . -, starting and ending
/// with a letter or digit, no "..", not an IPv4 address.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
void check_bucket_name(const BucketName& name);
/// Throws Error{invalid} unless `key` has 1-1024 bytes of UTF-8.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
void check_object_key(const ObjectKey& key);

/// The last path component of a key: "c" of "a/b/c", "" of "a/b/".
std::string_view basename(std::string_view key) noexcept;

}  // namespace bale

template <typename Tag>
struct std::hash<bale::Named<Tag>> {
  std::size_t operator()(const bale::Named<Tag>& name) const noexcept { return std::hash<std::string>{}(name.str()); }
};
