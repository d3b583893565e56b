#include "aws/credential_sources.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

/// Longer than any of these answers; a token of STS has up to 4 KiB.
constexpr ByteCount most_answer_bytes = 64 << 10;
constexpr std::chrono::minutes process_timeout{1};  // a person may have to type a code

Error bad_answer(const std::string& where) {
  // Without the parser's own words: they quote the text, and with it secrets.
  return Error(ErrorKind::invalid, "that is no credentials document", where,
               "AccessKeyId and SecretAccessKey have to be in it, and Version 1 in that of a program");
}

std::string text_member(const nlohmann::json& document, const std::string& name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A profile for people: its credentials begin in a browser.
void refuse_sso(const SharedConfig& config, const std::string& profile) {
  if (!config.get(profile, "sso_session") && !config.get(profile, "sso_start_url")) return;
  throw Error(ErrorKind::unsupported, "the profile signs in through a browser", "profile " + profile,
              "make a profile with credential_process = aws configure export-credentials --profile " + profile +
                  " --format process");
}

}  // namespace

std::vector<std::string> split_command(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool is_space = c == ' ' || c == '\t' || c == '\n';
    if (quote == 0 && is_space) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      words.back() += line[++i];
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) throw Error(ErrorKind::invalid, "a quote is not closed", "credential_process");
  return words;
}

Credentials parse_credentials_json(std::string_view text, const std::string& token_member, const std::string& where) {
  const nlohmann::json document = parse_json(text);
  if (!document.is_object()) throw bad_answer(where);
  const std::string code = text_member(document, "Code");
  if (!code.empty() && code != "Success")
    throw Error(ErrorKind::denied, "the service gives no credentials", where,
                escape_for_terminal(text_member(document, "Message")))
        .with_code(code);
  Credentials credentials{text_member(document, "AccessKeyId"), text_member(document, "SecretAccessKey"),
                          text_member(document, token_member), std::nullopt};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) throw bad_answer(where);
  const std::string expiration = text_member(document, "Expiration");
  try {
    if (!expiration.empty()) credentials.expires = parse_time(expiration);
  } catch (const Error& error) {
    throw bad_answer(where).with_cause(error);
  }
  return credentials;
}

std::optional<Credentials> from_environment(const os::Environment& environment) {
  const auto id = get_nonempty(environment, "AWS_ACCESS_KEY_ID");
  const auto secret = get_nonempty(environment, "AWS_SECRET_ACCESS_KEY");
  if (!id && !secret) return std::nullopt;
  if (!id || !secret)
    throw Error(ErrorKind::invalid, "half of the credentials is missing",
                id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
                "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither");
  auto token = get_nonempty(environment, "AWS_SESSION_TOKEN");
  if (!token) token = get_nonempty(environment, "AWS_SECURITY_TOKEN");
  return Credentials{*id, *secret, token.value_or(""), std::nullopt};
}

std::optional<Credentials> from_profile_keys(const SharedConfig& config, const std::string& profile) {
  const auto id = config.get(profile, "aws_access_key_id");
  const auto secret = config.get(profile, "aws_secret_access_key");
  if (!id && !secret) return std::nullopt;
  if (!id || !secret)
    throw Error(ErrorKind::invalid, "half of the credentials is missing", "profile " + profile,
                "give it both aws_access_key_id and aws_secret_access_key");
  auto token = config.get(profile, "aws_session_token");
  if (!token) token = config.get(profile, "aws_security_token");
  return Credentials{*id, *secret, token.value_or(""), std::nullopt};
}

std::optional<Credentials> from_process(const CredentialPlaces& places, const std::string& profile) {
  const auto command = places.config.get_lines(profile, "credential_process");
  if (!command) return std::nullopt;
  const std::string where = "credential_process of profile " + profile;
  const os::ProcessResult result =
      places.processes.run(split_command(*command), process_timeout, most_answer_bytes, places.world.stop);
  if (result.status != 0)
    throw Error(ErrorKind::denied, fmt::format("the program ended with status {}", result.status), where,
                "run it by hand to see why");
  const nlohmann::json document = parse_json(result.output);
  if (!document.is_object() || document.value("Version", nlohmann::json()) != 1) throw bad_answer(where);
  return parse_credentials_json(result.output, "SessionToken", where);
}

Credentials find_credentials(const CredentialPlaces& places) {
  const ProfileChoice& profile = places.options.profile;
  const os::Environment& environment = places.world.environment;
  if (profile.name != "default" && !places.config.has_profile(profile.name))
    throw Error(ErrorKind::invalid, "there is no such profile", escape_for_terminal(profile.name),
                "see ~/.aws/config and ~/.aws/credentials, AWS_PROFILE and --profile");
  if (!profile.is_explicit) {
    if (auto found = from_environment(environment)) return *found;
  }
  if (auto found = from_role(places, profile.name)) return *found;
  if (auto found = from_web_identity(places, profile.name, !profile.is_explicit)) return *found;
  if (auto found = from_profile_keys(places.config, profile.name)) return *found;
  if (auto found = from_process(places, profile.name)) return *found;
  refuse_sso(places.config, profile.name);
  if (auto found = from_container(places)) return *found;
  if (auto found = from_instance(places)) return *found;
  throw Error(ErrorKind::denied, "no credentials found", {},
              "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile of ~/.aws with --profile; no "
              "service is needed with a store of this machine: --local DIR");
}

}  // namespace bale::aws
