// bale bucket: the command line of list-tagged, delete-keys and lifecycle.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bucket_helpers.hpp"
#include "cli/option_values.hpp"

namespace bale::cli {
namespace {

void add_list_tagged(CLI::App& bucket, Action& action) {
  CLI::App* command = bucket.add_subcommand("list-tagged", "List objects that have tags");
  const auto options = std::make_shared<ListTaggedOptions>();
  command->add_option("URI", options->uri, "s3://bucket[/prefix]")->required()->check(refuse_empty);
  command->add_option("--tag", options->tags, "NAME=VALUE, or NAME for any value; repeat for more [Deleted=True]")
      ->type_name("TAG")
      ->allow_extra_args(false);
  command->callback(
      [&action, options] { action = [options](Context& context) { return bucket_list_tagged(context, *options); }; });
}

void add_delete_keys(CLI::App& bucket, Action& action) {
  CLI::App* command = bucket.add_subcommand("delete-keys", "Delete objects: all, those of a list, or those with tags");
  const auto options = std::make_shared<DeleteKeysOptions>();
  command->add_option("URI", options->uri, "s3://bucket[/prefix]")->required()->check(refuse_empty);
  auto* keys = command->add_option("--keys", options->keys, "only these keys: a file with one a line")
                   ->type_name("FILE")
                   ->check(refuse_empty);
  auto* tags = command->add_option("--tag", options->tags, "only objects with this tag, NAME=VALUE or NAME; repeatable")
                   ->type_name("TAG")
                   ->allow_extra_args(false);
  command->add_flag("--versions", options->versions, "all versions and delete markers too")
      ->excludes(keys)
      ->excludes(tags);
  command->add_flag("--delete-bucket", options->delete_bucket, "delete the empty bucket at the end")
      ->excludes(keys)
      ->excludes(tags);
  command->add_option("--max-deleted", options->max_deleted, "delete nothing if it would be more than N")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--yes", options->yes, "really delete; without it, and without --dryrun, nothing is done");
  command->callback(
      [&action, options] { action = [options](Context& context) { return bucket_delete_keys(context, *options); }; });
}

void add_lifecycle(CLI::App& bucket, Action& action) {
  CLI::App* command = bucket.add_subcommand("lifecycle", "Turn the move of a bucket's objects to Glacier on and off");
  const auto options = std::make_shared<LifecycleOptions>();
  command->add_option("URI", options->uri, "s3://bucket")->required()->check(refuse_empty);
  command->add_option("STATE", options->state, "on, off or show")
      ->required()
      ->check(CLI::IsMember({"on", "off", "show"}).description(""));
  command->add_option("--prefix", options->prefix, "on: only keys with this prefix")->type_name("PREFIX");
  command->add_option("--days", options->days, "on: days after the last change of an object; 0: within a day")
      ->type_name("N")
      ->check(CLI::Range(0, 36500).description(""))
      ->capture_default_str();
  command->add_option("--storage-class", options->storage_class, "on: where objects move to")
      ->check(
          CLI::IsMember({"GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"})
              .description(""))
      ->capture_default_str();
  command->add_flag("--yes", options->yes, "on: really move them; without it, and without --dryrun, nothing is done");
  command->callback(
      [&action, options] { action = [options](Context& context) { return bucket_lifecycle(context, *options); }; });
}

}  // namespace

void add_bucket_helpers(CLI::App& bucket, Action& action) {
  add_list_tagged(bucket, action);
  add_delete_keys(bucket, action);
  add_lifecycle(bucket, action);
}

}  // namespace bale::cli
