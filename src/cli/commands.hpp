// Every command, one file each. A command adds its subcommand and options to the parser and, when it was chosen, leaves
// the function to run.
#pragma once

#include <functional>

#include "cli/context.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// Set by the chosen command during parsing; run() calls it with the finished context. Returns the exit status.
using Action = std::function<int(Context&)>;

void add_s3_command(CLI::App& app, Action& action);         // s3_command.cpp: mb ls cp rm presign
void add_archive_command(CLI::App& app, Action& action);    // archive_command.cpp: create list extract index ...
void add_replicate_command(CLI::App& app, Action& action);  // replicate_command.cpp
void add_catalog_command(CLI::App& app, Action& action);    // catalog_command.cpp: search
void add_restore_command(CLI::App& app, Action& action);    // restore_command.cpp
void add_check_command(CLI::App& app, Action& action);      // check_command.cpp
void add_mount_command(CLI::App& app, Action& action);      // mount_command.cpp
void add_config_command(CLI::App& app, Action& action);     // config_command.cpp: check schema
void add_doctor_command(CLI::App& app, Action& action);     // doctor_command.cpp
void add_estimate_command(CLI::App& app, Action& action);   // estimate_command.cpp
void add_bench_command(CLI::App& app, Action& action);      // bench_command.cpp
void add_raw_command(CLI::App& app, Action& action);        // raw_command.cpp: backup upload verify ...
void add_bucket_command(CLI::App& app, Action& action);     // bucket_command.cpp: compare backup tag-deleted
void add_version_command(CLI::App& app, Action& action);    // version_command.cpp

}  // namespace bale::cli
