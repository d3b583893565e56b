#include "config/service_environment.hpp"

#include <fmt/ranges.h>

#include "config/permitted.hpp"

namespace bale::config {
namespace {

/// Reads variables, an empty one like an absent one, and remembers which were missed.
class Variables {
 public:
  explicit Variables(const os::Environment& environment) : environment_(environment) {}

  std::string optional(const std::string& name) const { return os::get_line(environment_, name).value_or(""); }
  std::string required(const std::string& name) {
    std::string value = optional(name);
    if (value.empty()) missing_.push_back(name);
    return value;
  }
  Region region() {
    const std::string region = optional("AWS_REGION");
    return Region(region.empty() ? required("AWS_DEFAULT_REGION") : region);
  }
  void check(std::string_view service) const {
    if (missing_.empty()) return;
    throw Error(ErrorKind::invalid, fmt::format("no value for {}", fmt::join(missing_, ", ")), "environment",
                fmt::format("set {} (docs/services.md), or give the directory of a configuration: bale replicate {} "
                            "--config DIR",
                            missing_.size() == 1 ? "it" : "them", service));
  }

 private:
  const os::Environment& environment_;
  std::vector<std::string> missing_;
};

std::string without_slashes_at_end(std::string prefix) {
  while (prefix.ends_with('/')) prefix.pop_back();
  return prefix;
}

/// Returns the inbound bucket of a stack whose catalog bucket has the name that S3 Cross-Region Compressor gives it,
/// "{stack}-{account}-{region}-catalog"; empty for a catalog bucket of another name.
BucketName inbound_beside(const BucketName& catalog, const Settings& settings, const Region& region) {
  constexpr std::string_view role = "catalog";
  if (!is_stack_bucket(settings, region, role, catalog)) return {};
  return BucketName(catalog.str().substr(0, catalog.str().size() - role.size()) + "inbound");
}

}  // namespace

ReplicationConfig source_from_environment(const os::Environment& environment) {
  Variables variables(environment);
  Rule rule;
  GivenPlaces given;
  given.queue = QueueName(variables.required("SQS_QUEUE_URL"));
  rule.source.region = variables.region();
  given.outbound = BucketName(variables.required("BUCKET"));
  ReplicationConfig config;
  config.settings.stack_name = variables.required("STACK_NAME");
  given.parameters = TableName(variables.required("REPLICATION_PARAMETERS_TABLE"));
  variables.check("source");
  given.levels = TableName(variables.optional("COMPRESSION_SETTINGS_TABLE"));
  rule.source.prefix = without_slashes_at_end(variables.optional("MONITORED_PREFIX"));
  config.settings.given = std::move(given);
  config.rules.push_back(std::move(rule));
  return config;
}

ReplicationConfig target_from_environment(const os::Environment& environment) {
  Variables variables(environment);
  Rule rule;
  GivenPlaces given;
  given.queue = QueueName(variables.required("SQS_QUEUE_URL"));
  // The archives say where their objects go: of the destination only the region counts.
  rule.destinations.push_back({variables.region(), {}, {}, {}, false});
  ReplicationConfig config;
  config.settings.stack_name = variables.required("STACK_NAME");
  variables.check("target");
  given.catalog = BucketName(variables.optional("CATALOG_BUCKET_NAME"));
  given.inbound = BucketName(variables.optional("BUCKET"));
  if (given.inbound.empty())
    given.inbound = inbound_beside(given.catalog, config.settings, rule.destinations.front().region);
  config.settings.given = std::move(given);
  config.rules.push_back(std::move(rule));
  return config;
}

}  // namespace bale::config
