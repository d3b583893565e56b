// Where credentials come from: one function for each place that AWS's own tools look at.
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.hpp"
#include "aws/endpoint.hpp"
#include "aws/shared_config.hpp"
#include "http/client.hpp"
#include "os/process.hpp"
#include "os/world.hpp"

namespace bale::aws {

/// What the sources need. Borrowed: all of it outlives every use.
struct CredentialPlaces {
  os::World world;
  const SharedConfig& config;
  http::Client& client;         ///< for STS
  http::Client& direct_client;  ///< for the machine's own metadata services: without proxies
  os::Processes& processes;
  PlaceOptions options;
  /// Where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is relative to.
  std::string container_host = "http://169.254.170.2";
};

// Each gives nothing when its place is not set up, and throws Error{denied, invalid, unavailable, timeout, cancelled}
// when it is but gives no credentials. No message holds a secret, nor any text that may hold one.

/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN (else AWS_SECURITY_TOKEN).
std::optional<Credentials> from_environment(const os::Environment& environment);
/// aws_access_key_id, aws_secret_access_key, aws_session_token of a profile.
std::optional<Credentials> from_profile_keys(const SharedConfig& config, const std::string& profile);
/// `credential_process` of a profile: a program that prints JSON, split into arguments as a shell would, but with no
/// shell. https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
std::optional<Credentials> from_process(const CredentialPlaces& places, const std::string& profile);
/// `role_arn` of a profile with `source_profile`, which may have a role itself, or `credential_source`: STS AssumeRole.
std::optional<Credentials> from_role(const CredentialPlaces& places, const std::string& profile);
/// AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, or the same of the profile: STS AssumeRoleWithWebIdentity. The file
/// is read again each time. `use_environment` false: the profile alone.
std::optional<Credentials> from_web_identity(const CredentialPlaces& places, const std::string& profile,
                                             bool use_environment);
/// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or
/// AWS_CONTAINER_AUTHORIZATION_TOKEN. A full URI is https, or leads to this machine or its own metadata service.
std::optional<Credentials> from_container(const CredentialPlaces& places);
/// The metadata service of an EC2 machine, by session token (IMDSv2), else without one where that is allowed.
std::optional<Credentials> from_instance(const CredentialPlaces& places);

/// The first that gives something, in the order of botocore: environment (not with an explicit profile), role, web
/// identity, keys of the profile, its process, container, instance. Throws Error{denied} when none does, and
/// Error{invalid} when the profile that was chosen does not exist.
Credentials find_credentials(const CredentialPlaces& places);

/// Splits a command line at spaces and line ends; '...' and "..." keep theirs, and \ takes the next character as it is,
/// but not inside
/// '...'. Throws Error{invalid} when a quote is not closed.
std::vector<std::string> split_command(std::string_view line);
/// Reads the JSON of credential_process, containers and instances. `where` names its source in errors; `token_member`
/// is "SessionToken" or "Token". Throws Error{invalid}, and Error{denied} for a `Code` other than Success.
Credentials parse_credentials_json(std::string_view json, const std::string& token_member, const std::string& where);
/// Reads the XML of STS's AssumeRole and AssumeRoleWithWebIdentity. Throws Error{invalid}.
Credentials parse_sts_answer(std::string_view xml, const std::string& where);

}  // namespace bale::aws
