// bale raw: the command line of backup, upload, verify, status, restore, abort.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.hpp"
#include "cli/commands.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "cli/raw_commands.hpp"

namespace bale::cli {
namespace {

/// Runs a command. A failure that may pass gets the exit status that says so, wherever it came up.
template <typename Options>
int run_raw(Context& context, const char* name, int (*command)(Context&, const Options&), const Options& options) {
  try {
    return command(context, options);
  } catch (const Error& error) {
    if (!is_transient(error.kind())) throw;
    emit_failure(context, fmt::format("raw {} failed", name), error);
    return raw::exit_status_of(error);
  }
}

void add_backup(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("backup", "Copy a raw file to the pool; with backup_type s3, upload it too");
  const auto options = std::make_shared<RawBackupOptions>();
  command->add_option("ID", options->id, "id of the raw file")->check(refuse_empty);
  add_raw_options(*command, options->common);
  command->add_option("--path", options->paths, "main file or .d folder of the acquisition; repeat for its other files")
      ->type_name("PATH")
      ->check(refuse_empty);
  command->add_option("--project", options->project, "project; selects the bucket [none]")->type_name("NAME");
  command->add_option("--instrument", options->instrument, "instrument; names the directory in the pool")
      ->type_name("NAME");
  command->add_option("--settle", options->settle, "wait until no file has been written for DURATION, such as 60m")
      ->type_name("DURATION")
      ->check(refuse_empty);
  command->add_flag("--copy-only", options->copy_only, "make only the local copy; upload later with `bale raw upload`");
  command->add_flag("--create-pool", options->create_pool,
                    "make the pool where it is missing, even if records name copies in it");
  command
      ->add_option("--from", options->from,
                   "back up many: LIST has one JSON object a line: id, path, project, instrument")
      ->type_name("LIST")
      ->check(refuse_empty);
  command
      ->add_option("--key-layout", options->key_layout,
                   "layout of object keys: by_id or alphakraken [from the configuration]")
      ->type_name("LAYOUT")
      ->check(refuse_empty);
  command->add_option("--metrics-file", options->metrics_file, "write Prometheus metrics to a file at the end")
      ->type_name("FILE");
  command->add_flag("--exit-zero", options->exit_zero,
                    "exit with status 0 even after a failure, except 2 and 130; the record holds the error");
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "backup", raw_backup, *options); };
  });
}

void add_upload(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("upload", "Upload a raw file from the pool, or resume its upload");
  const auto options = std::make_shared<RawUploadOptions>();
  command->add_option("ID", options->id, "id of the raw file")->required()->check(refuse_empty);
  add_raw_options(*command, options->common);
  command->add_option("--metrics-file", options->metrics_file, "write Prometheus metrics to a file at the end")
      ->type_name("FILE");
  command->add_flag("--exit-zero", options->exit_zero,
                    "exit with status 0 even after a failure, except 2 and 130; the record holds the error");
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "upload", raw_upload, *options); };
  });
}

void add_verify(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("verify", "Compare records with the bucket and with the local copies");
  const auto options = std::make_shared<RawVerifyOptions>();
  command->add_option("ID", options->ids, "ids of raw files [every record]");
  add_raw_options(*command, options->common);
  command->add_flag("--purge-local", options->purge_local, "delete local copies whose backup is verified");
  command->add_flag("--bucket-only", options->bucket_only, "verify only the objects in the bucket; read no local file");
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "verify", raw_verify, *options); };
  });
}

void add_status(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("status", "List raw files with the state of their backup");
  const auto options = std::make_shared<RawStatusOptions>();
  command->add_option("ID", options->ids, "ids of raw files [every record]");
  add_raw_options(*command, options->common);
  command->add_option("--status", options->status, "only with this backup_status")
      ->type_name("STATUS")
      ->check(CLI::IsMember({"IN_PROGRESS", "DONE", "FAILED"}));
  command->add_option("--project", options->project, "only of this project")->type_name("NAME");
  command->add_option("--instrument", options->instrument, "only of this instrument")->type_name("NAME");
  command
      ->add_option("--failed-since", options->failed_since,
                   "only failures since TIME: a time, or a duration such as 24h or 7d")
      ->type_name("TIME")
      ->check(refuse_empty);
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "status", raw_status, *options); };
  });
}

void add_restore(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("restore", "Restore a raw file from its bucket");
  const auto options = std::make_shared<RawRestoreOptions>();
  command->add_option("ID", options->id, "id of the raw file")->required()->check(refuse_empty);
  add_raw_options(*command, options->common);
  command->add_option("--to", options->to, "directory to write to")->type_name("DIR")->required()->check(refuse_empty);
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "restore", raw_restore, *options); };
  });
}

void add_abort(CLI::App& raw, Action& action) {
  CLI::App* command = raw.add_subcommand("abort", "Abort the uploads of a raw file, and remove their parts");
  const auto options = std::make_shared<RawAbortOptions>();
  command->add_option("ID", options->id, "id of the raw file")->required()->check(refuse_empty);
  add_raw_options(*command, options->common);
  command->callback([&action, options] {
    action = [options](Context& context) { return run_raw(context, "abort", raw_abort, *options); };
  });
}

}  // namespace

void add_raw_command(CLI::App& app, Action& action) {
  CLI::App* raw = app.add_subcommand("raw", "Back up raw files of instruments");
  raw->require_subcommand(1);
  add_backup(*raw, action);
  add_upload(*raw, action);
  add_verify(*raw, action);
  add_status(*raw, action);
  add_restore(*raw, action);
  add_abort(*raw, action);
}

}  // namespace bale::cli
