#include "aws/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

struct Partition {
  std::string_view region_prefix, suffix, dual_stack_suffix;
};

/// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
constexpr std::array<Partition, 5> partitions{{{"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
                                               {"us-isob-", "sc2s.sgov.gov", "api.aws"},
                                               {"us-iso-", "c2s.ic.gov", "api.aws"},
                                               {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
                                               {"", "amazonaws.com", "api.aws"}}};

const Partition& partition_of(const std::string& region) {
  return *std::find_if(partitions.begin(), partitions.end(),
                       [&](const Partition& partition) { return region.starts_with(partition.region_prefix); });
}

std::string own_host(Service service, const std::string& region, bool fips, bool dual_stack) {
  const Partition& partition = partition_of(region);
  const std::string name = to_string(service) + (fips ? "-fips" : "");
  if (!dual_stack) return fmt::format("{}.{}.{}", name, region, partition.suffix);
  if (service == Service::s3) return fmt::format("{}.dualstack.{}.{}", name, region, partition.suffix);
  return fmt::format("{}.{}.{}", name, region, partition.dual_stack_suffix);
}

struct ConfiguredUrl {
  std::string url, from;
};

std::optional<ConfiguredUrl> configured_url(Service service, const PlaceOptions& options,
                                            const os::Environment& environment, const SharedConfig& config) {
  if (!options.endpoint_url.empty()) return ConfiguredUrl{options.endpoint_url, "--endpoint-url"};
  if (service == Service::s3 && !options.s3_endpoint_url.empty())
    return ConfiguredUrl{options.s3_endpoint_url, "endpoint_url of the configuration"};
  const std::string& profile = options.profile.name;
  if (is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") ||
      to_lower(config.get(profile, "ignore_configured_endpoint_urls").value_or("")) == "true")
    return std::nullopt;
  std::string upper = to_string(service);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  for (const std::string& name : {"AWS_ENDPOINT_URL_" + upper, std::string("AWS_ENDPOINT_URL")}) {
    if (const auto url = get_nonempty(environment, name)) return ConfiguredUrl{*url, name};
  }
  if (const auto services = config.get(profile, "services")) {
    if (const auto url = config.get_service(*services, to_string(service) + ".endpoint_url"))
      return ConfiguredUrl{*url, "endpoint_url of [services " + *services + "]"};
  }
  if (const auto url = config.get(profile, "endpoint_url")) return ConfiguredUrl{*url, "endpoint_url of " + profile};
  return std::nullopt;
}

void check_region(const std::string& region) {
  const auto is_good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (region.empty() || region.size() > 63 || !std::all_of(region.begin(), region.end(), is_good))
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no region", escape_for_terminal(region)), {},
                "a region looks like us-east-1; set --region, AWS_REGION or the profile's region");
}

/// Whether the host is an IPv4 address in four numbers, or an IPv6 address in brackets: nothing can stand before it.
bool is_address(std::string_view host) {
  if (host.starts_with('[')) return true;
  const std::vector<std::string_view> numbers = split(host, '.');
  return numbers.size() == 4 && std::all_of(numbers.begin(), numbers.end(), [](std::string_view number) {
           return !number.empty() && number.size() <= 3 &&
                  number.find_first_not_of("0123456789") == std::string_view::npos;
         });
}

/// Whether text can be one label of a host name.
bool is_label(std::string_view text) {
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && is_letter_or_digit(text.front()) && is_letter_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter_or_digit(c) || c == '-'; });
}

/// Whether a bucket's name can be the first label of a host name, or the first labels: no wildcard certificate covers
/// more than one.
bool is_fit_for_host(std::string_view bucket, bool labels_allowed) {
  if (bucket.size() < 3 || bucket.size() > 63) return false;
  if (!labels_allowed) return is_label(bucket);
  const std::vector<std::string_view> labels = split(bucket, '.');
  return std::all_of(labels.begin(), labels.end(), is_label);
}

/// Whether the bucket's name goes into the host. It does not where the two together are no host name.
bool is_in_host(const Endpoint& endpoint, Addressing addressing, const BucketName& bucket) {
  if (addressing == Addressing::path || is_address(endpoint.origin.host)) return false;
  if (addressing == Addressing::automatic) return !endpoint.is_custom && is_fit_for_host(bucket.str(), false);
  return is_fit_for_host(bucket.str(), !endpoint.origin.is_tls());
}

}  // namespace

std::string to_string(Service service) {
  switch (service) {
    case Service::s3: return "s3";
    case Service::sqs: return "sqs";
    case Service::dynamodb: return "dynamodb";
    case Service::sts: return "sts";
    case Service::athena: return "athena";
  }
  return {};
}

std::optional<std::string> resolve_region(const PlaceOptions& options, const os::Environment& environment,
                                          const SharedConfig& config) {
  if (!options.region.empty()) return options.region;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (auto region = get_nonempty(environment, name)) return region;
  }
  return config.get(options.profile.name, "region");
}

Endpoint resolve_endpoint(Service service, const std::string& region, const PlaceOptions& options,
                          const os::Environment& environment, const SharedConfig& config) {
  check_region(region);
  const std::optional<ConfiguredUrl> configured = configured_url(service, options, environment, config);
  if (!configured) {
    const std::string host = own_host(service, region, is_true(environment, "AWS_USE_FIPS_ENDPOINT"),
                                      is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT"));
    return {http::Origin{"https", host}, "", region, false};
  }
  try {
    http::Url url = http::parse_url(configured->url);
    if (!url.query.empty()) throw Error(ErrorKind::invalid, "an endpoint has no query", redact_url(configured->url));
    while (url.path.ends_with('/')) url.path.pop_back();
    return {std::move(url.origin), std::move(url.path), region, true};
  } catch (const Error& error) {
    throw error.with_where(fmt::format("{}: {}", configured->from, error.where()));
  }
}

Addressing resolve_addressing(const SharedConfig& config, const std::string& profile) {
  const std::string style = config.get(profile, "s3.addressing_style").value_or("auto");
  if (style == "auto") return Addressing::automatic;
  if (style == "path") return Addressing::path;
  if (style == "virtual") return Addressing::virtual_host;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is no addressing style", escape_for_terminal(style)),
              "s3.addressing_style of " + profile, "it is auto, path or virtual");
}

bool is_aws(const Endpoint& endpoint) {
  if (!endpoint.is_custom) return true;
  const std::string host = to_lower(endpoint.origin.host);
  const auto is_below = [&](std::string_view domain) {
    return host.size() > domain.size() && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.';
  };
  return std::any_of(partitions.begin(), partitions.end(), [&](const Partition& partition) {
    return is_below(partition.suffix) || is_below(partition.dual_stack_suffix);
  });
}

void address_bucket(http::Request& request, const Endpoint& endpoint, Addressing addressing, const BucketName& bucket,
                    const ObjectKey& key) {
  request.origin = endpoint.origin;
  request.path = endpoint.base_path;
  const bool in_host = is_in_host(endpoint, addressing, bucket);
  if (in_host) {
    request.origin.host = bucket.str() + "." + request.origin.host;
  } else {
    request.path += '/';
    request.path += percent_encode(bucket.str());
  }
  if (in_host || !key.empty()) request.path += '/';
  request.path += percent_encode(key.str(), true);
}

}  // namespace bale::aws
