// What the commands of `bale s3` are asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "cli/s3_names.hpp"

namespace bale::cli {

struct ListRequest {
  std::string uri;  ///< empty: the buckets
  bool recursive = false;
  bool human_readable = false;
  bool summarize = false;
  bool versions = false;
};
int list_objects(Context& context, const ListRequest& request);

struct StatRequest {
  std::string uri;
  std::string version_id;
};
int stat_object(Context& context, const StatRequest& request);

struct RemoveRequest {
  std::string uri;
  bool recursive = false;
  bool all_versions = false;
  std::string version_id;
  std::vector<FilterRule> filters;
};
int remove_objects(Context& context, const RemoveRequest& request);

/// What is stored with an object; absent: for a file, as its name suggests; for an object, as the source has it.
struct AttributeOptions {
  std::optional<std::string> content_type, cache_control, content_disposition, content_encoding, content_language,
      expires, website_redirect;
  std::optional<std::string> storage_class, kms_key_id;
  std::optional<store::UserMetadata> metadata;
  std::optional<store::Tags> tags;
};

struct CopyRequest {
  std::string source, destination;
  bool recursive = false;
  bool exact_key = false;  ///< a '/' at the end of the destination key belongs to the key
  bool if_none_match = false;
  bool guess_type = true;
  std::string version_id;  ///< of the source
  ByteCount expected_size = 0;
  std::string part_size;  ///< empty: see chosen_part_size()
  std::vector<FilterRule> filters;
  AttributeOptions attributes;
};
int copy_objects(Context& context, const CopyRequest& request);

/// Calls `object` for every object whose key starts with `prefix`, in order. Stops with Error{cancelled} when the
/// context's stop token is requested.
void for_each_object(Context& context, const BucketName& bucket, const std::string& prefix,
                     const std::function<void(const store::ListedObject&)>& object);
/// The same for every version and delete marker.
void for_each_version(Context& context, const BucketName& bucket, const std::string& prefix,
                      const std::function<void(const store::ListedVersion&)>& version);

/// Throws Error{not_found} NoSuchBucket unless the bucket exists.
void require_bucket(Context& context, const BucketName& bucket);
/// An s3:// URI with a key. Throws Error{invalid} when there is no key.
ObjectAddress parse_object_uri(std::string_view uri);

}  // namespace bale::cli
