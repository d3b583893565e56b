// What the commands of `bale bucket` are asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <optional>
#include <string>

#include "cli/bucket_context.hpp"
#include "cli/bucket_options.hpp"
#include "jobs/bucket/copier.hpp"

namespace bale::cli {

struct BucketCompareOptions {
  BucketArguments arguments;
  BucketWork work;
  std::string level = "checksum";
  bool metadata = false, tags = false;
  bool only_differences = false;
  std::string report;
};
int bucket_compare(Context& context, const BucketCompareOptions& options);

struct BucketBackupOptions {
  BucketArguments arguments;
  BucketWork work;
  std::string level = "checksum";
  std::string storage_class;  ///< "source": that of each source; empty: STANDARD_IA, where the store knows it
  std::string ia_above, kms_key_id;
  bool no_tags = false;
  bool stream = false;
  bool versions = false;
  bool allow_empty_source = false;
  std::string max_deleted, bandwidth_limit, max_bytes;
  std::optional<std::uint64_t> max_objects;
  std::string report, from_report;
};
int bucket_backup(Context& context, const BucketBackupOptions& options);
/// `bale bucket backup --versions`. `copies`: as the options say.
int bucket_backup_versions(BucketContext& bucket, const BucketBackupOptions& options, const bucket::CopyRules& copies);

struct BucketTagOptions {
  BucketArguments arguments;
  BucketWork work;
  bool allow_empty_source = false;
  bool check_marks = false;
  std::string max_deleted, report;
};
int bucket_tag_deleted(Context& context, const BucketTagOptions& options);

}  // namespace bale::cli
