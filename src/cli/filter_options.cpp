#include "cli/filter_options.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace bale::cli {

std::vector<FilterRule> ordered_filters(const CLI::App& command) {
  std::vector<FilterRule> rules;
  std::map<const CLI::Option*, std::size_t> seen;
  for (const CLI::Option* option : command.parse_order()) {
    const std::string name = option->get_name();
    if (name != "--include" && name != "--exclude") continue;
    rules.push_back({name == "--include", option->results().at(seen[option]++)});
  }
  return rules;
}

void add_filter_options(CLI::App& command) {
  const auto add = [&](const char* name, const char* help) {
    command
        .add_option_function<std::vector<std::string>>(
            name, [](const std::vector<std::string>&) {}, help)
        ->allow_extra_args(false)  // one pattern each; what follows is a file or another option
        ->type_name("PATTERN");
  };
  add("--exclude", "leave out names that match; of all filters that match a name, the last one decides");
  add("--include", "do take names that match, though an earlier --exclude matches them");
}

}  // namespace bale::cli
