// The sources that have to be asked over HTTP: STS, containers, instances.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/answer.hpp"
#include "aws/credential_sources.hpp"
#include "aws/sigv4.hpp"
#include "aws/xml.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using http::Method;

constexpr ByteCount most_answer_bytes = 64 << 10;
/// The SDKs' own limits for services of the machine itself.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html, feature-imds-credentials.html
constexpr http::Deadlines container_deadlines{Milliseconds{2000}, Milliseconds{2000}, Milliseconds{2000}};
constexpr int container_attempts = 3;
constexpr http::Deadlines instance_deadlines{Milliseconds{1000}, Milliseconds{1000}, Milliseconds{2000}};
constexpr http::Deadlines sts_deadlines{Milliseconds{5000}, Milliseconds{30'000}, Milliseconds{60'000}};

/// A file's text without the line end that editors add.
std::string read_token(const CredentialPlaces& places, const std::string& path) {
  std::string token = os::read_text_file(places.world.files, path, most_answer_bytes);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  return token;
}

std::string make_session_name(const CredentialPlaces& places) {
  return fmt::format("bale-{:016x}", places.world.entropy.next_u64());
}

// --- STS ------------------------------------------------------------------------------------------------------------

struct StsCall {
  std::string action, role_arn, session_name;
  std::vector<std::pair<std::string, std::string>> more;
};

/// Sends a form, signed with the keys where there are some; reads the whole answer.
http::Answer send_to_sts(const CredentialPlaces& places, http::Request request, const std::string& form,
                         const std::optional<Credentials>& keys, const std::string& region, TimePoint time) {
  if (keys) {
    const SigningScope scope{region, "sts", PathRule::normalised};
    Signer().sign(request, scope, *keys, time, to_hex(Sha256::of(as_bytes(form))));
  }
  http::SpanBody body(form);
  return http::fetch(places.client, request, &body, sts_deadlines, places.world.stop, most_answer_bytes);
}

/// The error of an answer that is no success: a refusal only where STS itself made the answer.
Error sts_error(const http::Answer& answer, const std::string& where) {
  const ServiceFailure failure = parse_xml_failure(answer.head, answer.body);
  if (!failure.is_from_service) return to_error(failure, where);
  const ErrorKind kind = answer.head.status >= 500 ? ErrorKind::unavailable : ErrorKind::denied;
  return Error(kind, "STS refuses: " + escape_for_terminal(failure.message), where,
               "check the role, its trust policy and the machine's clock")
      .with_code(failure.code);
}

/// The session's credentials. Without `signer_keys`, the request is not signed: its token is its proof.
Credentials call_sts(const CredentialPlaces& places, const StsCall& call, const std::optional<Credentials>& keys) {
  const os::Environment& environment = places.world.environment;
  const std::string region =
      resolve_region(places.options, environment, places.config).value_or("us-east-1");  // STS's home
  PlaceOptions options = places.options;
  options.endpoint_url.clear();  // --endpoint-url is the store's
  const Endpoint endpoint = resolve_endpoint(Service::sts, region, options, environment, places.config);
  std::string form = fmt::format("Action={}&Version=2011-06-15&RoleArn={}&RoleSessionName={}", call.action,
                                 percent_encode(call.role_arn), percent_encode(call.session_name));
  for (const auto& [name, value] : call.more) form += fmt::format("&{}={}", name, percent_encode(value));
  http::Request request{Method::post, endpoint.origin, endpoint.base_path + "/"};
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  const std::string where = fmt::format("{} of {}", call.action, escape_for_terminal(call.role_arn));
  const TimePoint now = places.world.clock.now();
  http::Answer answer = send_to_sts(places, request, form, keys, region, now);
  if (!answer.head.is_success() && keys) {
    const auto skew =
        skew_to_sign_again(parse_xml_failure(answer.head, answer.body), answer.head, Method::post, now, now);
    if (skew) answer = send_to_sts(places, request, form, keys, region, now + *skew);
  }
  if (!answer.head.is_success()) throw sts_error(answer, where);
  return parse_sts_answer(answer.body, where);
}

std::vector<std::pair<std::string, std::string>> role_options(const CredentialPlaces& places,
                                                              const std::string& profile) {
  std::vector<std::pair<std::string, std::string>> more;
  if (const auto id = places.config.get(profile, "external_id")) more.emplace_back("ExternalId", *id);
  if (const auto seconds = places.config.get(profile, "duration_seconds"))
    more.emplace_back("DurationSeconds", *seconds);
  return more;
}

/// Keys of the place that credential_source names.
Credentials from_named_source(const CredentialPlaces& places, const std::string& name, const std::string& profile) {
  std::optional<Credentials> found;
  if (name == "Environment")
    found = from_environment(places.world.environment);
  else if (name == "EcsContainer")
    found = from_container(places);
  else if (name == "Ec2InstanceMetadata")
    found = from_instance(places);
  else
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no credential source", escape_for_terminal(name)),
                "credential_source of profile " + profile, "it is Environment, EcsContainer or Ec2InstanceMetadata");
  if (!found) throw Error(ErrorKind::denied, name + " has no credentials", "credential_source of profile " + profile);
  return *found;
}

/// `seen`: the profiles that led here; each may come once, but a profile that names itself has keys beside its role.
Credentials assume_role(const CredentialPlaces& places, const std::string& profile, std::set<std::string> seen) {
  const std::string role = *places.config.get(profile, "role_arn");
  if (places.config.get(profile, "mfa_serial"))
    throw Error(ErrorKind::unsupported, "a role that asks for a code cannot be used by a program that runs alone",
                "mfa_serial of profile " + profile,
                "get credentials with the AWS CLI and pass them in the environment");
  seen.insert(profile);
  const auto source = places.config.get(profile, "source_profile");
  std::optional<Credentials> keys;
  if (!source) {
    const auto name = places.config.get(profile, "credential_source");
    if (!name)
      throw Error(ErrorKind::invalid, "the role has no source", "profile " + profile,
                  "give it source_profile or credential_source");
    keys = from_named_source(places, *name, profile);
  } else if (!places.config.has_profile(*source)) {
    throw Error(ErrorKind::invalid, "there is no such profile", escape_for_terminal(*source),
                "it is the source_profile of " + profile);
  } else if (*source != profile && places.config.get(*source, "role_arn")) {
    if (seen.contains(*source))
      throw Error(ErrorKind::invalid, "the profiles' sources go round in a circle", "source_profile of " + profile);
    keys = places.config.get(*source, "web_identity_token_file") ? from_web_identity(places, *source, false)
                                                                 : assume_role(places, *source, seen);
  } else {
    keys = from_profile_keys(places.config, *source);
    if (!keys) keys = from_process(places, *source);
  }
  if (!keys)
    throw Error(ErrorKind::denied, "the profile has no credentials", escape_for_terminal(source.value_or("")),
                "it is the source_profile of " + profile);
  const std::string session = places.config.get(profile, "role_session_name").value_or(make_session_name(places));
  return call_sts(places, {"AssumeRole", role, session, role_options(places, profile)}, keys);
}

// --- The machine's own services -------------------------------------------------------------------------------------

bool is_machine_local(const std::string& host) {
  constexpr std::array<std::string_view, 6> hosts{"localhost",      "169.254.170.2", "169.254.170.23",
                                                  "[fd00:ec2::23]", "[::1]",         "127.0.0.1"};
  return std::find(hosts.begin(), hosts.end(), to_lower(host)) != hosts.end() ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

/// The answer of the last attempt; connections that fail and 5xx are tried again.
http::Answer ask_container(const CredentialPlaces& places, const http::Request& request) {
  for (int attempt = 1;; ++attempt) {
    try {
      http::Answer answer = http::fetch(places.direct_client, request, nullptr, container_deadlines, places.world.stop,
                                        most_answer_bytes);
      if (answer.head.status < 500 || attempt == container_attempts) return answer;
    } catch (const Error& error) {
      if (!is_transient(error.kind()) || attempt == container_attempts) throw;
    }
  }
}

class InstanceMetadata {
 public:
  explicit InstanceMetadata(const CredentialPlaces& places) : places_(places) {
    const os::Environment& environment = places.world.environment;
    const bool six =
        to_lower(get_nonempty(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or("")) == "ipv6";
    url_ = http::parse_url(get_nonempty(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT")
                               .value_or(six ? "http://[fd00:ec2::254]" : "http://169.254.169.254"));
    while (url_.path.ends_with('/')) url_.path.pop_back();
  }

  /// False when nobody answers: this is no EC2 machine.
  bool start() {
    http::Request request = to(Method::put, "/latest/api/token");
    constexpr const char* six_hours = "21600";
    request.headers.add("x-aws-ec2-metadata-token-ttl-seconds", six_hours);
    try {
      const http::Answer answer = send(request);
      if (answer.head.is_success()) {
        token_ = answer.body;
        return true;
      }
      const int status = answer.head.status;
      const bool is_old = status == 403 || status == 404 || status == 405;
      return is_old && !is_true(places_.world.environment, "AWS_EC2_METADATA_V1_DISABLED");
    } catch (const Error& error) {
      if (!is_transient(error.kind())) throw;
      return false;
    }
  }
  http::Answer get(const std::string& path) {
    http::Request request = to(Method::get, path);
    if (!token_.empty()) request.headers.add("x-aws-ec2-metadata-token", token_);
    return send(request);
  }

 private:
  http::Request to(Method method, const std::string& path) const { return {method, url_.origin, url_.path + path}; }
  http::Answer send(const http::Request& request) {
    return http::fetch(places_.direct_client, request, nullptr, instance_deadlines, places_.world.stop,
                       most_answer_bytes);
  }

  const CredentialPlaces& places_;
  http::Url url_;
  std::string token_;
};

}  // namespace

Credentials parse_sts_answer(std::string_view xml, const std::string& where) {
  pugi::xml_document document;
  parse_xml(document, xml, "", where);
  const pugi::xml_node result = document.document_element().first_child();
  const pugi::xml_node node = result.child("Credentials");
  Credentials credentials{child_text(node, "AccessKeyId"), child_text(node, "SecretAccessKey"),
                          child_text(node, "SessionToken"), std::nullopt};
  const std::string expiration = child_text(node, "Expiration");
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty() || expiration.empty())
    throw Error(ErrorKind::invalid, "the answer of STS holds no credentials", where);
  credentials.expires = parse_time(expiration);
  return credentials;
}

std::optional<Credentials> from_role(const CredentialPlaces& places, const std::string& profile) {
  if (!places.config.get(profile, "role_arn") || places.config.get(profile, "web_identity_token_file"))
    return std::nullopt;
  return assume_role(places, profile, {});
}

std::optional<Credentials> from_web_identity(const CredentialPlaces& places, const std::string& profile,
                                             bool use_environment) {
  const auto setting = [&](const char* variable, const char* name) {
    std::optional<std::string> value;
    if (use_environment) value = get_nonempty(places.world.environment, variable);
    return value ? value : places.config.get(profile, name);
  };
  const auto file = setting("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
  if (!file) return std::nullopt;
  const auto role = setting("AWS_ROLE_ARN", "role_arn");
  if (!role)
    throw Error(ErrorKind::invalid, "a web identity needs a role", *file, "set AWS_ROLE_ARN or the profile's role_arn");
  const std::string session = setting("AWS_ROLE_SESSION_NAME", "role_session_name").value_or(make_session_name(places));
  const std::string token = read_token(places, *file);
  return call_sts(places, {"AssumeRoleWithWebIdentity", *role, session, {{"WebIdentityToken", token}}}, std::nullopt);
}

std::optional<Credentials> from_container(const CredentialPlaces& places) {
  const os::Environment& environment = places.world.environment;
  const auto relative = get_nonempty(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const auto full = get_nonempty(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative && !full) return std::nullopt;
  const http::Url url = http::parse_url(relative ? places.container_host + *relative : *full);
  const std::string where = "http credentials of the container";
  if (!relative && !url.origin.is_tls() && !is_machine_local(url.origin.host))
    throw Error(ErrorKind::invalid, "credentials are not asked for over plain HTTP from another machine",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI", "use https, or an address of the machine itself");
  http::Request request{Method::get, url.origin, url.path, url.query};
  std::string token = get_nonempty(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
  if (const auto file = get_nonempty(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
    token = read_token(places, *file);
  if (token.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorKind::invalid, "the authorization token has a line end in it", where);
  if (!token.empty()) request.headers.add("Authorization", token);
  const http::Answer answer = ask_container(places, request);
  if (!answer.head.is_success())
    throw Error(answer.head.status >= 500 ? ErrorKind::unavailable : ErrorKind::denied,
                fmt::format("the container's credentials service answers {}", answer.head.status), where);
  return parse_credentials_json(answer.body, "Token", where);
}

std::optional<Credentials> from_instance(const CredentialPlaces& places) {
  if (is_true(places.world.environment, "AWS_EC2_METADATA_DISABLED")) return std::nullopt;
  InstanceMetadata metadata(places);
  if (!metadata.start()) return std::nullopt;
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  const http::Answer roles = metadata.get(path);
  // A machine without a role, and one whose metadata service is turned off.
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
  if (roles.head.status == 404 || roles.head.status == 403 || roles.body.empty()) return std::nullopt;
  const std::string where = "credentials of the instance";
  const std::string role = roles.body.substr(0, roles.body.find('\n'));
  const http::Answer answer = metadata.get(path + percent_encode(role));
  if (!roles.head.is_success() || !answer.head.is_success())
    throw Error(ErrorKind::unavailable,
                fmt::format("the instance's metadata service answers {} and {}", roles.head.status, answer.head.status),
                where);
  return parse_credentials_json(answer.body, "Token", where);
}

}  // namespace bale::aws
