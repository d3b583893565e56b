#include "cli/app.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/context.hpp"
#include "cli/output.hpp"
#include "cli/status_terminal.hpp"
#include "os/machine.hpp"
#include "os/signals.hpp"
#include "os/stream_io.hpp"

namespace bale::cli {
namespace {

constexpr const char* description =
    "Packs S3 objects into compact, searchable archives, ships them across regions, and gets any one of them back.";
constexpr const char* footer =
    "Global options may stand before or after the command. Exit status: 0 done, 1 some items failed,\n"
    "2 usage or configuration, 3 not found, 4 refused by the service or a lease, 5 damaged data,\n"
    "75 try again (raw, bucket), 130 interrupted.";

void add_store_options(CLI::App& app, GlobalOptions& options) {
  const std::string group = "Where the data are";
  app.add_option("--local", options.local, "directory of the embedded store of all regions [BALE_LOCAL]")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--region", options.region, "region [AWS_REGION, AWS_DEFAULT_REGION; of the profile; us-east-1]")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--endpoint-url", options.endpoint_url, "address of the service [AWS_ENDPOINT_URL]")
      ->type_name("URL")
      ->group(group);
  app.add_option("--profile", options.profile, "profile of the shared configuration [AWS_PROFILE]")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--ca-bundle", options.ca_bundle, "certificates of trusted authorities, PEM [AWS_CA_BUNDLE]")
      ->type_name("FILE")
      ->group(group);
}

void add_output_options(CLI::App& app, GlobalOptions& options) {
  const std::string group = "Output";
  const std::map<std::string, Output> outputs{{"text", Output::text}, {"json", Output::json}};
  app.add_option("--output", options.output, "results as text, or as one JSON object a line")
      ->transform(CLI::CheckedTransformer(outputs).description(""))
      ->type_name("text|json")
      ->group(group);
  app.add_option("--log-level", options.log_level, "debug, info, warning, error or critical")
      ->type_name("LEVEL")
      ->capture_default_str()
      ->group(group);
  app.add_option("--log-format", options.log_format, "log lines as text or json")
      ->type_name("text|json")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--no-progress", options.no_progress, "no progress line")->group(group);
  app.add_flag("--quiet", options.quiet, "no results as text, no progress: errors only")->group(group);
}

void add_work_options(CLI::App& app, GlobalOptions& options) {
  const std::string group = "Work";
  app.add_flag("--dryrun,--dry-run", options.dryrun, "say what would be done, and change nothing")->group(group);
  const auto set_limit = [&options](const std::string& text) {
    try {
      options.memory_limit = parse_bytes(text);
    } catch (const Error& error) {
      throw error.with_where("--memory-limit");
    }
  };
  app.add_option_function<std::string>(
         "--memory-limit", set_limit,
         "most memory for data in flight, e.g. 512MiB [a quarter of what there is, at least 256 MiB]")
      ->type_name("SIZE")
      ->group(group);
  app.add_option("--connections", options.connections, "requests under way at once [64; 32 with --local]")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""))
      ->group(group);
}

void add_commands(CLI::App& app, Action& action) {
  add_s3_command(app, action);
  add_replicate_command(app, action);
  add_archive_command(app, action);
  add_catalog_command(app, action);
  add_restore_command(app, action);
  add_check_command(app, action);
  add_mount_command(app, action);
  add_config_command(app, action);
  add_doctor_command(app, action);
  add_estimate_command(app, action);
  add_raw_command(app, action);
  add_bucket_command(app, action);
  add_bench_command(app, action);
  add_version_command(app, action);
}

/// The command of `app` that a word was probably meant to be; empty where none is near.
std::string nearest_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return closest_match(word, names);
}

/// The option that the first unknown one of the arguments was probably meant to be, of the chosen command or of all.
std::string nearest_option(const CLI::App& chosen, const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* each : {&chosen, &app}) {
    for (const CLI::Option* option : each->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  for (const CLI::App* each : {&chosen, &app}) {
    for (const std::string& word : each->remaining()) {
      if (word.starts_with("--")) return closest_match(word.substr(0, word.find('=')), names);
    }
  }
  return {};
}

/// The reason why the arguments are refused.
Error usage_error(const CLI::ParseError& error, const CLI::App& app) {
  std::string command = "bale";
  const CLI::App* chosen = &app;
  while (!chosen->get_subcommands().empty()) {
    chosen = chosen->get_subcommands().back();
    command += " " + chosen->get_name();
  }
  std::string what = error.what(), meant;
  const bool takes_command = !chosen->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (takes_command && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    // CLI11 would only say that there is no command, whatever stands in its place.
    std::vector<std::string> others = chosen->remaining();
    if (chosen != &app) {
      const std::vector<std::string> fallen_through = app.remaining();
      others.insert(others.end(), fallen_through.begin(), fallen_through.end());
    }
    const auto word = std::find_if(others.begin(), others.end(), [](const auto& other) { return other[0] != '-'; });
    what = word == others.end() ? "a command is missing"
                                : fmt::format("'{}' is no command of {}", escape_for_terminal(*word), command);
    const std::string near = word == others.end() ? "" : nearest_command(*chosen, *word);
    if (!near.empty()) meant = command + " " + near;
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    meant = nearest_option(*chosen, app);
  }
  return Error(ErrorKind::invalid, what, {},
               meant.empty() ? fmt::format("see {} --help", command) : fmt::format("did you mean `{}`?", meant));
}

/// Whether the arguments ask for JSON: read by hand, because errors are printed as JSON also when parsing fails.
bool wants_json(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") break;
    if (arguments[i] == "--output=json") return true;
    if (arguments[i] == "--output" && i + 1 < arguments.size() && arguments[i + 1] == "json") return true;
  }
  return false;
}

std::string error_text(const Error& error) {
  std::string text = fmt::format("bale: {}\n", message_of(error));
  if (!error.cause().empty()) text += fmt::format("cause: {}\n", indent_lines(error.cause()));
  if (!error.hint().empty()) text += fmt::format("hint: {}\n", indent_lines(error.hint()));
  return text;
}

std::string error_json(const Error& error) {
  nlohmann::ordered_json line = {{"type", "error"}, {"kind", to_string(error.kind())}, {"message", error.summary()}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) line[name] = value;
  };
  add("where", error.where());
  add("code", error.code());
  add("cause", error.cause());
  add("hint", error.hint());
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// Parses, runs the chosen command, and lets every failure out as an Error.
int parse_and_run(const std::vector<std::string>& arguments, const os::World& world) {
  GlobalOptions options;
  Action action;
  CLI::App app(description, "bale");
  app.fallthrough();  // inherited by every command: global options may stand behind it
  app.require_subcommand(1);
  app.footer(footer);
  app.set_version_flag("--version", "bale " BALE_VERSION, "print the version");
  add_store_options(app, options);
  add_output_options(app, options);
  add_work_options(app, options);
  add_commands(app, action);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 wants the last one first
  } catch (const CLI::CallForVersion& version) {
    world.terminal.out(fmt::format("{}\n", version.what()));
    return exit_ok;
  } catch (const CLI::Success&) {  // --help
    world.terminal.out(app.help());
    return exit_ok;
  } catch (const CLI::ParseError& error) {
    throw usage_error(error, app);
  }
  Context context(world, resolve(std::move(options), world.environment, os::descriptor_limit()));
  return action(context);
}

}  // namespace

int run(const std::vector<std::string>& arguments, os::World world) {
  try {
    return parse_and_run(arguments, world);
  } catch (...) {
    const Error error = current_error();
    if (error.code() == "EPIPE") return exit_broken_pipe;  // as quiet as a program that SIGPIPE ends
    const bool json = wants_json(arguments);
    StatusTerminal terminal(world.terminal, false, json ? StatusTerminal::Kind::json : StatusTerminal::Kind::text);
    terminal.err(json ? error_json(error) : error_text(error));
    return exit_status(error.kind());
  }
}

int run_main(int argc, char** argv) {
  os::open_closed_standard_streams();  // before anything else is opened
  os::bound_allocator();
  os::raise_descriptor_limit();
  const std::stop_token stop = os::stop_on_signals();
  os::World world = os::system_world();
  world.stop = stop;
  return run(std::vector<std::string>(argv + std::min(argc, 1), argv + argc), world);
}

}  // namespace bale::cli
