// What the helpers of `bale bucket` are asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/context.hpp"
#include "store/object_store.hpp"

namespace bale::cli {

/// Adds list-tagged, delete-keys and lifecycle to `bale bucket`.
void add_bucket_helpers(CLI::App& bucket, Action& action);

struct ListTaggedOptions {
  std::string uri;                ///< s3://bucket[/prefix]
  std::vector<std::string> tags;  ///< NAME=VALUE, or NAME alone for any value; empty: Deleted=True
};
/// `bale bucket list-tagged`: prints the objects that have all of the tags.
int bucket_list_tagged(Context& context, const ListTaggedOptions& options);

struct DeleteKeysOptions {
  std::string uri;                ///< s3://bucket[/prefix]
  std::string keys;               ///< a file of keys, one a line; empty: all
  std::vector<std::string> tags;  ///< only objects that have them; empty: all
  bool versions = false;          ///< all versions and delete markers
  bool delete_bucket = false;
  bool yes = false;
  std::uint64_t max_deleted = 1000;
};
/// `bale bucket delete-keys`.
int bucket_delete_keys(Context& context, const DeleteKeysOptions& options);

struct LifecycleOptions {
  std::string uri;    ///< s3://bucket
  std::string state;  ///< on, off or show
  std::string prefix;
  std::uint32_t days = 0;
  std::string storage_class = "GLACIER";
  bool yes = false;
};
/// `bale bucket lifecycle`.
int bucket_lifecycle(Context& context, const LifecycleOptions& options);

/// Tags that an object has to have: of each name any value, or the one that is given.
using WantedTags = std::vector<std::pair<std::string, std::optional<std::string>>>;
/// Reads "NAME=VALUE" and "NAME". Throws Error{invalid}.
WantedTags parse_wanted_tags(const std::vector<std::string>& texts);
/// Whether all of the wanted tags are there.
bool has_tags(const store::Tags& tags, const WantedTags& wanted);

}  // namespace bale::cli
