// What the user says about trying again, in the words that the AWS command line and SDKs share.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "aws/shared_config.hpp"

namespace bale::aws {

/// Attempts at one request, the first included: AWS_MAX_ATTEMPTS, else `max_attempts` of the profile; absent when
/// neither says one. Throws Error{invalid}, naming where it stands, for what is no number from 1 to 1000.
///
/// AWS_RETRY_MODE and `retry_mode` change nothing, since Bale has one way to wait (flow/retry_policy.hpp): but a word
/// that is none of legacy, standard and adaptive is Error{invalid} too, as it is for the SDKs.
std::optional<std::uint32_t> resolve_max_attempts(const os::Environment& environment, const SharedConfig& config,
                                                  const std::string& profile);

}  // namespace bale::aws
