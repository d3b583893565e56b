#include "aws/shared_config.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

constexpr std::string_view spaces = " \t\r";

std::string_view trim(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(spaces), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(spaces) + 1);
}

/// "profile  x" -> "profile x"; quotes round the name, which AWS writes where it holds a space, are dropped.
std::string section_name(std::string_view header) {
  header = trim(header);
  const std::size_t space = header.find_first_of(spaces);
  const auto unquoted = [](std::string_view name) {
    const bool quoted =
        name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.front() == name.back();
    return quoted ? name.substr(1, name.size() - 2) : name;
  };
  if (space == std::string_view::npos) return std::string(unquoted(header));
  return fmt::format("{} {}", header.substr(0, space), unquoted(trim(header.substr(space))));
}

std::optional<std::string> find(const std::map<std::string, ConfigSection>& sections, const std::string& section,
                                const std::string& name) {
  const auto found = sections.find(section);
  if (found == sections.end()) return std::nullopt;
  const auto value = found->second.find(name);
  if (value == found->second.end() || value->second.empty()) return std::nullopt;
  return value->second;
}

ConfigFile read_file(os::Files& files, const os::Environment& environment, const char* variable, const char* name) {
  const std::string home = environment.get("HOME").value_or("");
  std::string path = get_nonempty(environment, variable).value_or(fmt::format("~/.aws/{}", name));
  if (path.starts_with("~/")) {
    if (home.empty()) return {};
    path = home + path.substr(1);
  }
  constexpr ByteCount most = 1 << 20;
  if (!files.info_followed(path)) return {};
  return parse_config_file(os::read_text_file(files, path, most), path);
}

}  // namespace

ConfigFile parse_config_file(std::string_view text, const std::string& name) {
  ConfigFile file;
  ConfigSection* section = nullptr;
  std::string parent;  // the setting that nested ones belong to
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    const auto refuse = [&](const char* what) {
      throw Error(ErrorKind::invalid, what, fmt::format("{}:{}", name, number),
                  "a line is a [section], `name = value`, or a comment that starts with '#'");
    };
    if (line.front() == '[') {
      const std::size_t end = content.find(']');
      if (end == std::string_view::npos) refuse("a section's name has no ']'");
      section = &file[section_name(content.substr(1, end - 1))];
      parent.clear();
      continue;
    }
    if (section == nullptr) refuse("a setting stands before the first section");
    const bool nested = spaces.find(line.front()) != std::string_view::npos && !parent.empty();
    const std::size_t equals = content.find('=');
    if (equals == std::string_view::npos) {
      if (nested) continue;  // the rest of a value over several lines, which no setting of ours has
      refuse("that is no setting");
    }
    const std::string key = to_lower(trim(content.substr(0, equals)));
    (*section)[nested ? fmt::format("{}.{}", parent, key) : key] = trim(content.substr(equals + 1));
    if (!nested) parent = key;
  }
  return file;
}

SharedConfig::SharedConfig(const ConfigFile& config, const ConfigFile& credentials) {
  for (const auto& [header, section] : config) {
    if (header == "default" && !config.contains("profile default")) profiles_["default"] = section;
    if (header.starts_with("profile ")) profiles_[header.substr(8)] = section;
    if (header.starts_with("services ")) services_[header.substr(9)] = section;
  }
  for (const auto& [profile, section] : credentials) {
    for (const auto& [name, value] : section) profiles_[profile][name] = value;
  }
}

SharedConfig SharedConfig::load(os::Files& files, const os::Environment& environment) {
  return {read_file(files, environment, "AWS_CONFIG_FILE", "config"),
          read_file(files, environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")};
}

std::optional<std::string> SharedConfig::get(const std::string& profile, const std::string& name) const {
  return find(profiles_, profile, name);
}

std::optional<std::string> SharedConfig::get_service(const std::string& services, const std::string& name) const {
  return find(services_, services, name);
}

ProfileChoice choose_profile(const std::string& option, const os::Environment& environment) {
  if (!option.empty()) return {option, true};
  for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    if (const std::optional<std::string> profile = get_nonempty(environment, name)) return {*profile, false};
  }
  return {"default", false};
}

std::optional<std::string> get_nonempty(const os::Environment& environment, const std::string& name) {
  std::optional<std::string> value = environment.get(name);
  if (value && value->empty()) value.reset();
  return value;
}

bool is_true(const os::Environment& environment, const std::string& name) {
  return to_lower(environment.get(name).value_or("")) == "true";
}

}  // namespace bale::aws
