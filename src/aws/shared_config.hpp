// The files that the AWS command line and SDKs share: ~/.aws/config and ~/.aws/credentials.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "os/environment.hpp"
#include "os/files.hpp"

namespace bale::aws {

/// Settings by name, in lower case. A nested setting ("s3 =", then an indented "addressing_style = path") has the name
/// "s3.addressing_style".
using ConfigSection = std::map<std::string, std::string>;
/// Sections by their header, space around and within made one: "default", "profile x", "services y".
using ConfigFile = std::map<std::string, ConfigSection>;

/// Reads one file's text as botocore does. A setting is `name = value` or `name: value`, with any indentation. A line
/// with more indentation than the setting above it belongs to that setting: where its value is empty, the line is a
/// nested setting `name = value`, else the next line of the value (joined by '\n'). Lines that start with '#' or ';'
/// are comments. Lines end with a line feed, a carriage return, or both; a byte order mark is skipped. What "[DEFAULT]"
/// says holds in every section.
///
/// More lenient than botocore: a section that comes twice is one; of a setting that comes twice the last counts; nested
/// names are made lower case. Throws Error{invalid} with "`name`:line" for a line that is none of these, and for
/// UTF-16; the message does not show the line, which may hold a secret.
ConfigFile parse_config_file(std::string_view text, const std::string& name);

/// Both files, read once. A value.
class SharedConfig {
 public:
  SharedConfig() = default;
  /// `config` holds "[profile x]" sections, `credentials` "[x]" sections; "[default]" is in both.
  SharedConfig(const ConfigFile& config, const ConfigFile& credentials);
  /// From AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, else from ~/.aws of HOME. A file that is not there is empty.
  /// $NAME and ${NAME} in these variables are replaced.
  static SharedConfig load(os::Files& files, const os::Environment& environment);

  bool has_profile(const std::string& profile) const { return profiles_.contains(profile); }
  /// A setting of a profile; what the credentials file says wins. Absent also when it is empty. Throws Error{invalid},
  /// which names profile and setting, when the value has several lines.
  std::optional<std::string> get(const std::string& profile, const std::string& name) const;
  /// The same, where a value of several lines is allowed.
  std::optional<std::string> get_lines(const std::string& profile, const std::string& name) const;
  /// A setting of a "[services NAME]" section. Throws as get() does.
  std::optional<std::string> get_service(const std::string& services, const std::string& name) const;

 private:
  std::map<std::string, ConfigSection> profiles_, services_;
};

/// What the user chose, from the command line.
struct ProfileChoice {
  std::string name;          ///< "default" where nobody chose
  bool is_explicit = false;  ///< chosen by --profile, not by the environment: then keys of the environment do not count
};
/// `option` is --profile, empty where not given; else AWS_PROFILE, AWS_DEFAULT_PROFILE, "default".
ProfileChoice choose_profile(const std::string& option, const os::Environment& environment);

/// The value of a variable; absent when it is empty too. Throws what os::get_line() throws.
std::optional<std::string> get_nonempty(const os::Environment& environment, const std::string& name);
/// Whether a variable says "true", in any case. Throws what os::get_line() throws.
bool is_true(const os::Environment& environment, const std::string& name);

}  // namespace bale::aws
