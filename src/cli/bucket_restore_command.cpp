// bale bucket restore: the command line.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bucket_restore.hpp"
#include "cli/filter_options.hpp"
#include "cli/option_values.hpp"

namespace bale::cli {
namespace {

void add_destination_options(CLI::App& command, BucketRestoreOptions& options) {
  const std::string group = "Destination";
  auto* create = command.add_flag("--create", options.create, "make the bucket NEW where it is missing")->group(group);
  command.add_flag("--wait", options.wait, "wait until somebody has made the bucket NEW")
      ->group(group)
      ->excludes(create);
  command.add_option("--wait-at-most", options.wait_at_most, "with --wait: give up after DURATION")
      ->type_name("DURATION")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--into-existing", options.into_existing, "restore into a bucket that has objects")->group(group);
  command.add_flag("--overwrite", options.overwrite, "replace objects of NEW that differ from the backup's")
      ->group(group);
  command.add_option("--storage-class", options.storage_class, "storage class of the copies")
      ->capture_default_str()
      ->check(refuse_empty)
      ->group(group);
}

void add_choice_options(CLI::App& command, BucketRestoreOptions& options) {
  command.add_flag("--include-deleted", options.include_deleted, "also objects that are marked Deleted=True");
  command.add_option("--as-of", options.as_of, "the state at this time, by versions and by the times of marks")
      ->type_name("TIME")
      ->check(refuse_empty);
  command.add_flag("--no-tags", options.without_tags, "neither read nor write tags; with --include-deleted only");
  add_filter_options(command);
}

void add_archive_options(CLI::App& command, BucketRestoreOptions& options) {
  const std::string group = "Archived objects";
  command
      .add_option("--tier", options.tier,
                  "how objects in GLACIER, DEEP_ARCHIVE and archive tiers are requested: Standard, Bulk or Expedited")
      ->transform(
          CLI::IsMember(std::vector<std::string>{"Standard", "Bulk", "Expedited"}, CLI::ignore_case).description(""))
      ->capture_default_str()
      ->group(group);
  command.add_option("--days", options.days, "how long they are to stay readable")
      ->type_name("N")
      ->check(CLI::Range(1, 36500).description(""))
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-cost", options.max_cost, "request nothing if that would cost more than DOLLARS")
      ->type_name("DOLLARS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command.add_flag("--yes", options.yes, "request whatever it costs")->group(group);
  auto* no_wait =
      command.add_flag("--no-wait", options.no_wait, "request them, and leave them to another run: exit status 75")
          ->group(group);
  command.add_flag("--wait-archived", options.wait_archived, "wait until all of them are restored: the default")
      ->group(group)
      ->excludes(no_wait);
  command
      .add_option("--journal", options.journal,
                  "file that remembers what was copied and requested [below ~/.local/state/bale]")
      ->type_name("FILE")
      ->check(refuse_empty)
      ->group(group);
}

void add_work_options(CLI::App& command, BucketWork& work) {
  const auto text = [&](const char* name, std::string& value, const char* type, const char* help) {
    command.add_option(name, value, help)->type_name(type)->check(refuse_empty)->group("Another way to the backup");
  };
  text("--source-profile", work.source_profile, "NAME", "profile that reads the backup");
  text("--source-endpoint-url", work.source_endpoint_url, "URL", "server of the backup");
  text("--source-region", work.source_region, "REGION", "region of the backup's endpoint");
  text("--source-ca-bundle", work.source_ca_bundle, "FILE", "authorities of the backup's server, PEM");
  text("--source-local", work.source_local, "DIR", "embedded store of the backup");
  command.add_option("--rate-limit", work.rate_limit, "send at most N requests a second")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command.add_option("--listers", work.listers, "list each bucket with up to N requests at once [16]")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""));
}

void add_batch_options(CLI::App& command, BucketRestoreOptions& options) {
  const std::string group = "S3 Batch Operations";
  auto* directory = command
                        .add_option("--emit-batch-job", options.batch_directory,
                                    "restore nothing; write manifests and jobs to DIR instead")
                        ->type_name("DIR")
                        ->check(refuse_empty)
                        ->group(group);
  command.add_option("--batch-role", options.batch_role, "ARN of the role that runs the jobs")
      ->type_name("ARN")
      ->group(group)
      ->needs(directory);
  command
      .add_option("--batch-location", options.batch_location,
                  "s3://bucket/prefix where DIR will be copied to, and reports are written")
      ->type_name("URI")
      ->group(group)
      ->needs(directory);
  command
      .add_option("--batch-report", options.batch_reports,
                  "read completion reports: CSV or manifest.json, a file or s3://bucket/key")
      ->type_name("REPORT")
      ->group(group);
}

}  // namespace

void add_bucket_restore(CLI::App& bucket, Action& action) {
  CLI::App* command =
      bucket.add_subcommand("restore", "Restore a backup into another bucket, archived objects included");
  const auto options = std::make_shared<BucketRestoreOptions>();
  add_bucket_options(*command, BucketVerb::restore, options->arguments);
  add_choice_options(*command, *options);
  add_destination_options(*command, *options);
  add_archive_options(*command, *options);
  add_work_options(*command, options->work);
  add_batch_options(*command, *options);
  command->callback([&action, command, options] {
    options->work.filters = ordered_filters(*command);
    action = [options](Context& context) {
      if (!options->batch_reports.empty()) return bucket_batch_reports(context, options->batch_reports);
      return bucket_restore(context, *options);
    };
  });
}

}  // namespace bale::cli
