// bale archive create|list|extract|verify|info|index: the command line.
#include <CLI/CLI.hpp>

#include "cli/archive_commands.hpp"
#include "cli/commands.hpp"

namespace bale::cli {
namespace {

CLI::App* add_subcommand(CLI::App& archive, const std::shared_ptr<ArchiveOptions>& options, Action& action,
                         const std::string& name, const std::string& description,
                         int (*run)(Context&, const ArchiveOptions&)) {
  CLI::App* const command = archive.add_subcommand(name, description);
  command->add_option("archive", options->archive, "a file, or s3://bucket/key")->required()->type_name("ARCHIVE");
  command->callback(
      [options, &action, run] { action = [options, run](Context& context) { return run(context, *options); }; });
  return command;
}

}  // namespace

void add_archive_command(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ArchiveOptions>();
  CLI::App* const archive = app.add_subcommand("archive", "Write and read archives: files, or objects by ranged reads");
  archive->require_subcommand(1);
  CLI::App* const creating =
      add_subcommand(*archive, options, action, "create", "Pack files into an archive", create_archive);
  creating->add_option("path", options->paths, "files and directories")->required()->type_name("PATH");
  creating->add_option("--level", options->level, "compression level of zstd; 0 stores")
      ->check(CLI::Range(archive::min_level, archive::max_level).description("0-22"))
      ->capture_default_str();
  creating
      ->add_option("--frame-size", options->frame_size,
                   "bytes of tar that are compressed together, and read together to get one object [16MiB]")
      ->type_name("SIZE");
  CLI::App* const listing =
      add_subcommand(*archive, options, action, "list", "Show what is in an archive", list_archive);
  listing->add_flag("--long", options->detailed, "also where each object is, and its SHA-256");
  CLI::App* const extracting = add_subcommand(*archive, options, action, "extract",
                                              "Get objects out, each verified by its SHA-256", extract_archive);
  extracting->add_option("member", options->members, "keys, or directories of keys [all]")->type_name("MEMBER");
  extracting->add_option("-C,--to", options->to, "directory to write to")->required()->type_name("DIR");
  CLI::App* const verifying = add_subcommand(*archive, options, action, "verify",
                                             "Read everything and compare it with its SHA-256", verify_archive);
  CLI::App* const showing = add_subcommand(*archive, options, action, "info",
                                           "Show size, ratio, frames and origin of an archive", show_archive);
  for (CLI::App* const reading : {listing, extracting, verifying, showing}) {
    reading
        ->add_option("--index", options->index,
                     "the index of an archive without seek table: a file, or s3://bucket/key [ARCHIVE.index]")
        ->type_name("INDEX");
  }
  CLI::App* const indexing = add_subcommand(*archive, options, action, "index",
                                            "Write an index beside an archive of another program", index_archive);
  indexing->add_option("--to", options->to, "where to: a file, or s3://bucket/key [ARCHIVE.index]")->type_name("INDEX");
}

}  // namespace bale::cli
