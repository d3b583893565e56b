#include "aws/shared_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

/// White space of Python's configparser, with which botocore reads these files, as far as keyboards and web pages give
/// it: of more than one byte are NEL, the no-break space, and the ideographic space.
constexpr std::string_view spaces = " \t\v\f\r\n\x1c\x1d\x1e\x1f";
constexpr std::array<std::string_view, 3> wide_spaces{"\xc2\x85", "\xc2\xa0", "\xe3\x80\x80"};

/// Removes the white space at the start; returns its number of characters.
std::size_t remove_indentation(std::string_view& text) {
  for (std::size_t removed = 0;; ++removed) {
    const auto wide = std::find_if(wide_spaces.begin(), wide_spaces.end(),
                                   [&](std::string_view space) { return text.starts_with(space); });
    if (wide != wide_spaces.end())
      text.remove_prefix(wide->size());
    else if (!text.empty() && spaces.find(text.front()) != std::string_view::npos)
      text.remove_prefix(1);
    else
      return removed;
  }
}

std::string_view trim(std::string_view text) {
  remove_indentation(text);
  for (;;) {
    const auto wide = std::find_if(wide_spaces.begin(), wide_spaces.end(),
                                   [&](std::string_view space) { return text.ends_with(space); });
    if (wide != wide_spaces.end())
      text.remove_suffix(wide->size());
    else if (!text.empty() && spaces.find(text.back()) != std::string_view::npos)
      text.remove_suffix(1);
    else
      return text;
  }
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

/// Returns a value of one line. Refuses a longer one, without showing it: its other lines were meant to be settings,
/// and may hold a secret.
std::optional<std::string> one_line(std::optional<std::string> value, const std::string& name,
                                    const std::string& section) {
  if (!value || value->find('\n') == std::string::npos) return value;
  throw Error(ErrorKind::invalid, "the value has more than one line",
              escape_for_terminal(fmt::format("{} of {}", name, section)),
              "lines with more indentation than this setting belong to it: give all settings the same indentation");
}

/// Replaces $NAME and ${NAME} by the variable's value, as botocore does; what is not set stays as it is.
std::string expand_variables(std::string_view path, const os::Environment& environment) {
  constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  std::string expanded;
  while (!path.empty()) {
    const std::size_t dollar = std::min(path.find('$'), path.size());
    expanded += path.substr(0, dollar);
    path.remove_prefix(dollar);
    if (path.empty()) break;
    const std::size_t brace = path.starts_with("${") ? path.find('}') : std::string_view::npos;
    const bool braced = brace != std::string_view::npos;
    const std::size_t start = braced ? 2 : 1;
    const std::size_t end = braced ? brace : std::min(path.find_first_not_of(name_characters, 1), path.size());
    const std::size_t length = end + (braced ? 1 : 0);
    const auto value = environment.get(std::string(path.substr(start, end - start)));
    expanded += value ? std::string_view(*value) : path.substr(0, length);
    path.remove_prefix(length);
  }
  return expanded;
}

ConfigFile read_file(os::Files& files, const os::Environment& environment, const char* variable, const char* name) {
  const std::string home = environment.get("HOME").value_or("");
  std::string path =
      expand_variables(get_nonempty(environment, variable).value_or(fmt::format("~/.aws/{}", name)), environment);
  if (path.starts_with("~/")) {
    if (home.empty()) return {};
    path = home + path.substr(1);
  }
  constexpr ByteCount most = 1 << 20;
  if (!files.info_followed(path)) return {};
  return parse_config_file(os::read_text_file(files, path, most), path);
}

/// Reads a file line by line. A line with more indentation than the setting or section above it goes on with that
/// setting's value; where the value is empty, it is a nested setting.
class ConfigReader {
 public:
  explicit ConfigReader(const std::string& name) : name_(name) {}

  void read(std::string_view line) {
    ++number_;
    const std::size_t indentation = remove_indentation(line);
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') return;
    if (!setting_.empty() && indentation > indentation_) return go_on(content);
    indentation_ = indentation;
    if (content.front() == '[') return start_section(content);
    if (section_ == nullptr) refuse("a setting stands before the first section");
    const std::size_t separator = content.find_first_of("=:");
    if (separator == std::string_view::npos) refuse("the line is no setting");
    setting_ = to_lower(trim(content.substr(0, separator)));
    if (setting_.empty()) refuse("a setting has no name");
    (*section_)[setting_] = trim(content.substr(separator + 1));
  }

  /// What "[DEFAULT]" says holds in every section that does not say otherwise.
  ConfigFile finish() {
    const auto found = file_.find("DEFAULT");
    if (found == file_.end()) return std::move(file_);
    const ConfigSection defaults = std::move(found->second);
    file_.erase(found);
    for (auto& [header, section] : file_) section.insert(defaults.begin(), defaults.end());
    return std::move(file_);
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    throw Error(ErrorKind::invalid, what, fmt::format("{}:{}", name_, number_),
                "a line is a [section], `name = value`, or a comment that starts with '#'");
  }

  void start_section(std::string_view content) {
    const std::size_t end = content.find(']');
    if (end == std::string_view::npos) refuse("a section's name has no ']'");
    section_ = &file_[section_name(content.substr(1, end - 1))];
    setting_.clear();
  }

  void go_on(std::string_view content) {
    std::string& value = (*section_)[setting_];
    if (!value.empty()) {
      value += '\n';
      value += content;
      return;
    }
    const std::size_t equals = content.find('=');
    if (equals == std::string_view::npos) refuse("a nested setting has no '='");
    const std::string_view nested = trim(content.substr(0, equals));
    (*section_)[fmt::format("{}.{}", setting_, to_lower(nested))] = trim(content.substr(equals + 1));
  }

  const std::string& name_;
  ConfigFile file_;
  ConfigSection* section_ = nullptr;
  std::string setting_;  // the last one of the section; empty: none yet
  std::size_t indentation_ = 0, number_ = 0;
};

/// Takes the next line off `text`; it ends with a line feed, a carriage return, or both.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  if (text.starts_with("\r\n"))
    text.remove_prefix(2);
  else if (!text.empty())
    text.remove_prefix(1);
  return line;
}

}  // namespace

ConfigFile parse_config_file(std::string_view text, const std::string& name) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    throw Error(ErrorKind::invalid, "the file is UTF-16", name, "save it as UTF-8");
  if (constexpr std::string_view byte_order_mark = "\xef\xbb\xbf"; text.starts_with(byte_order_mark))
    text.remove_prefix(byte_order_mark.size());
  ConfigReader reader(name);
  while (!text.empty()) reader.read(take_line(text));
  return reader.finish();
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
  return one_line(find(profiles_, profile, name), name, "profile " + profile);
}

std::optional<std::string> SharedConfig::get_lines(const std::string& profile, const std::string& name) const {
  return find(profiles_, profile, name);
}

std::optional<std::string> SharedConfig::get_service(const std::string& services, const std::string& name) const {
  return one_line(find(services_, services, name), name, "[services " + services + "]");
}

ProfileChoice choose_profile(const std::string& option, const os::Environment& environment) {
  if (!option.empty()) return {option, true};
  for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    if (const std::optional<std::string> profile = get_nonempty(environment, name)) return {*profile, false};
  }
  return {"default", false};
}

std::optional<std::string> get_nonempty(const os::Environment& environment, const std::string& name) {
  return os::get_line(environment, name);
}

bool is_true(const os::Environment& environment, const std::string& name) {
  return to_lower(get_nonempty(environment, name).value_or("")) == "true";
}

}  // namespace bale::aws
