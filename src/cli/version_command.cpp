// bale version
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

constexpr std::string_view compiler =
#ifdef __clang__
    "Clang " __clang_version__;
#else
    "GCC " __VERSION__;
#endif

int version(Context& context) {
  emit(context, {{"type", "version"}, {"version", BALE_VERSION}, {"compiler", compiler}},
       fmt::format("bale {} ({})", BALE_VERSION, compiler));
  return exit_ok;
}

}  // namespace

void add_version_command(CLI::App& app, Action& action) {
  app.add_subcommand("version", "Print the version")->callback([&action] { action = version; });
}

}  // namespace bale::cli
