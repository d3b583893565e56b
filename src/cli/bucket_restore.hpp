// What `bale bucket restore` is asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/bucket_context.hpp"
#include "cli/bucket_options.hpp"
#include "cli/commands.hpp"

namespace bale::cli {

/// Adds `restore` to `bale bucket`.
void add_bucket_restore(CLI::App& bucket, Action& action);

struct BucketRestoreOptions {
  BucketArguments arguments;
  bool create = false;
  bool wait = false;
  std::string wait_at_most = "1h";
  bool into_existing = false;
  bool overwrite = false;
  bool include_deleted = false;
  bool without_tags = false;
  std::string as_of;
  std::string storage_class = "STANDARD";
  // Archived objects:
  std::string tier = "Standard";
  int days = 7;
  double max_cost = 10;  ///< dollars
  bool yes = false;
  bool no_wait = false;
  bool wait_archived = false;  ///< the default
  std::string journal;
  BucketWork work;  ///< how the backup is reached, limits, filters; its journal is not used
  // S3 Batch Operations:
  std::string batch_directory;
  std::string batch_role;
  std::string batch_location;
  std::vector<std::string> batch_reports;
};

/// `bale bucket restore`.
int bucket_restore(Context& context, const BucketRestoreOptions& options);
/// The same with --batch-report: reads completion reports of S3 Batch Operations.
int bucket_batch_reports(Context& context, const std::vector<std::string>& reports);

}  // namespace bale::cli
