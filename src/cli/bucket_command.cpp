// bale bucket: the command line of compare, backup, tag-deleted; the others are in files of their own.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bucket_commands.hpp"
#include "cli/bucket_helpers.hpp"
#include "cli/bucket_restore.hpp"
#include "cli/commands.hpp"
#include "cli/filter_options.hpp"
#include "cli/option_values.hpp"

namespace bale::cli {
namespace {

void add_brakes(CLI::App& command, bool& allow_empty_source, std::string& max_deleted) {
  command.add_flag("--allow-empty-source", allow_empty_source, "accept a source without any object");
  command
      .add_option("--max-deleted", max_deleted,
                  "mark at most N copies, or P% of them, as deleted [10% or 1000, whichever is more]")
      ->type_name("N|P%")
      ->check(refuse_empty);
}

void add_compare(CLI::App& group, Action& action) {
  CLI::App* command = group.add_subcommand("compare", "Compare two buckets key by key, and show the evidence");
  const auto options = std::make_shared<BucketCompareOptions>();
  add_bucket_options(*command, BucketVerb::compare, options->arguments);
  command->add_option("--level", options->level, "evidence: size, etag, checksum or full [checksum]")
      ->type_name("LEVEL")
      ->check(refuse_empty);
  command->add_flag("--metadata", options->metadata, "at --level full: headers and user metadata only");
  command->add_flag("--tags", options->tags, "at --level full: tags only");
  command->add_flag("--only-differences", options->only_differences, "leave out keys that are the same");
  command->add_option("--report", options->report, "write the findings to a file of JSON lines")
      ->type_name("FILE")
      ->check(refuse_empty);
  add_filter_options(*command);
  add_bucket_work_options(*command, options->work);
  command->callback([&action, options, command] {
    options->work.filters = ordered_filters(*command);
    action = [options](Context& context) { return bucket_compare(context, *options); };
  });
}

void add_copy_options(CLI::App& command, BucketBackupOptions& options) {
  command
      .add_option("--storage-class", options.storage_class,
                  "class of the copies; source: as the source has it "
                  "[STANDARD_IA]")
      ->type_name("CLASS")
      ->check(refuse_empty);
  command
      .add_option("--ia-above", options.ia_above,
                  "keep copies of fewer bytes STANDARD where the class bills them as 128 KiB [0]")
      ->type_name("SIZE")
      ->check(refuse_empty);
  command.add_option("--sse-kms-key-id", options.kms_key_id, "encrypt the copies with this KMS key")
      ->type_name("ARN")
      ->check(refuse_empty);
  command.add_flag("--no-tags", options.no_tags, "copy without tags, and read none");
  command.add_flag("--stream", options.stream, "send the bytes through this program, not within the store");
}

void add_limits(CLI::App& command, BucketBackupOptions& options) {
  add_brakes(command, options.allow_empty_source, options.max_deleted);
  command.add_option("--bandwidth-limit", options.bandwidth_limit, "copy at most SIZE bytes a second")
      ->type_name("SIZE")
      ->check(refuse_empty);
  command.add_option("--max-objects", options.max_objects, "end after N copies")->type_name("N");
  command.add_option("--max-bytes", options.max_bytes, "end before more than SIZE bytes are copied")
      ->type_name("SIZE")
      ->check(refuse_empty);
}

void add_backup(CLI::App& group, Action& action) {
  CLI::App* command = group.add_subcommand("backup", "Copy what is missing or changed to a backup bucket");
  const auto options = std::make_shared<BucketBackupOptions>();
  add_bucket_options(*command, BucketVerb::backup, options->arguments);
  add_copy_options(*command, *options);
  command->add_flag("--versions", options->versions, "copy all versions and delete markers, in their order");
  add_limits(*command, *options);
  command->add_option("--level", options->level, "evidence that a copy is current: size, etag or checksum [checksum]")
      ->type_name("LEVEL")
      ->check(refuse_empty);
  command->add_option("--report", options->report, "write failures to a file of JSON lines")
      ->type_name("FILE")
      ->check(refuse_empty);
  command->add_option("--from-report", options->from_report, "copy what a report names, without listing the buckets")
      ->type_name("FILE")
      ->check(refuse_empty);
  add_filter_options(*command);
  add_bucket_work_options(*command, options->work);
  command->callback([&action, options, command] {
    options->work.filters = ordered_filters(*command);
    action = [options](Context& context) { return bucket_backup(context, *options); };
  });
}

void add_tag_deleted(CLI::App& group, Action& action) {
  CLI::App* command = group.add_subcommand("tag-deleted", "Mark copies whose sources were deleted");
  const auto options = std::make_shared<BucketTagOptions>();
  add_bucket_options(*command, BucketVerb::compare, options->arguments);
  add_brakes(*command, options->allow_empty_source, options->max_deleted);
  command->add_flag("--check-marks", options->check_marks,
                    "read the tags of every copy, to find marks that the journal does not know");
  command->add_option("--report", options->report, "write failures to a file of JSON lines")
      ->type_name("FILE")
      ->check(refuse_empty);
  add_filter_options(*command);
  add_bucket_work_options(*command, options->work);
  command->callback([&action, options, command] {
    options->work.filters = ordered_filters(*command);
    action = [options](Context& context) { return bucket_tag_deleted(context, *options); };
  });
}

}  // namespace

void add_bucket_command(CLI::App& app, Action& action) {
  CLI::App* group = app.add_subcommand("bucket", "Keep a second bucket as the backup of a first");
  group->require_subcommand(1);
  add_compare(*group, action);
  add_backup(*group, action);
  add_tag_deleted(*group, action);
  add_bucket_restore(*group, action);
  add_bucket_helpers(*group, action);
}

}  // namespace bale::cli
