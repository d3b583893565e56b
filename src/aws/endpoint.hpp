// Where a service is: regions, endpoints, and how a bucket's name gets into a URL.
#pragma once

#include <optional>
#include <string>

#include "aws/shared_config.hpp"
#include "base/names.hpp"
#include "http/message.hpp"

namespace bale::aws {

enum class Service { s3, sqs, dynamodb, sts, athena };
/// "s3", ...: as in signatures and host names.
std::string to_string(Service service);

/// Where requests of one service and region go.
struct Endpoint {
  http::Origin origin;
  std::string base_path;   ///< what stands before the request's own path: "" or "/prefix"
  std::string region;      ///< to sign for
  bool is_custom = false;  ///< given by the user, not AWS's own
};

/// Whether AWS itself answers there, also through an endpoint that the user named (VPC, FIPS).
bool is_aws(const Endpoint& endpoint);

/// What the command line says about places.
struct PlaceOptions {
  std::string endpoint_url;  ///< --endpoint-url; for all services
  std::string region;        ///< --region
  ProfileChoice profile{"default", false};
  std::string s3_endpoint_url = {};  ///< of S3 alone, from a configuration of Bale; endpoint_url counts more
};

/// --region, AWS_REGION, AWS_DEFAULT_REGION, `region` of the profile. Absent when none says one.
std::optional<std::string> resolve_region(const PlaceOptions& options, const os::Environment& environment,
                                          const SharedConfig& config);

/// The URL of the first that has one: --endpoint-url, for S3 s3_endpoint_url, AWS_ENDPOINT_URL_<SERVICE>,
/// AWS_ENDPOINT_URL, the profile's `services` section, the profile's `endpoint_url`; else AWS's own, dual-stack or FIPS
/// where AWS_USE_DUALSTACK_ENDPOINT or AWS_USE_FIPS_ENDPOINT is "true". AWS_IGNORE_CONFIGURED_ENDPOINT_URLS skips the
/// environment and the files. Throws Error{invalid} for a URL that is none, naming where it stands, and for a region
/// that cannot be part of a host name.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
Endpoint resolve_endpoint(Service service, const std::string& region, const PlaceOptions& options,
                          const os::Environment& environment, const SharedConfig& config);

/// Where the bucket's name goes.
enum class Addressing {
  automatic,  ///< the host's where AWS itself is asked and the name is fit for it, else the path's
  path,       ///< https://host/bucket/key
  /// https://bucket.host/key; the path's where the host is an IP address, or the bucket's name is not fit for it.
  virtual_host,
};
/// `s3.addressing_style` of the profile. Throws Error{invalid} for another word than auto, path and virtual.
Addressing resolve_addressing(const SharedConfig& config, const std::string& profile);

/// Sets origin and path of a request for a bucket, or for an object of it; `key` empty: the bucket itself. The key is
/// percent-encoded once and nothing of it is cleaned up.
void address_bucket(http::Request& request, const Endpoint& endpoint, Addressing addressing, const BucketName& bucket,
                    const ObjectKey& key = {});

}  // namespace bale::aws
