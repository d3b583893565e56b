// The configuration of replicate: settings.json and replication_config.json of one directory.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "os/files.hpp"

namespace bale::config {

/// settings.json: one entry of enabled_regions.
struct EnabledRegion {
  Region region;
  std::string vpc_cidr;
  bool source = false;  ///< "source" in source_target
  bool target = false;  ///< "target" in source_target
  int availability_zones = 2;
};

/// Places that a service is told one by one, instead of their following from stack and account.
struct GivenPlaces {
  QueueName queue;       ///< the service's queue; on AWS its URL
  BucketName outbound;   ///< of a source
  BucketName catalog;    ///< of a target; empty: backups are not catalogued
  TableName parameters;  ///< of a source: holds the destinations of its buckets
  TableName levels;      ///< of a source: what is learned of compression levels; empty: nothing is kept
  BucketName inbound{};  ///< of a target; empty: not known
};

/// settings.json.
struct Settings {
  std::string stack_name;
  std::string account = "000000000000";  ///< twelve digits; part of the names of staging buckets
  std::vector<EnabledRegion> enabled_regions;
  std::vector<std::string> notification_emails;
  std::map<std::string, std::string> tags;
  std::optional<GivenPlaces> given;  ///< not of settings.json: see config/service_environment.hpp
};

/// When a batch is full.
struct BatchLimits {
  std::size_t max_objects = 1000;
  ByteCount max_bytes = 256ULL << 20;
  std::chrono::seconds max_wait{5};
};

/// replication_config.json: `source`. An empty string is the same as an absent member.
struct Source {
  Region region;
  BucketName bucket;  ///< empty, for services of GivenPlaces alone: every bucket that the queue has events of
  std::string kms_key_arn;
  std::string prefix;  ///< prefix_filter without trailing '/'; "" is the whole bucket. Matches keys starting "prefix/"
  std::string suffix;  ///< suffix_filter
  int scaling_limit = 20;      ///< 1-1000
  int cpu = 2048;              ///< 256-16384
  int memory = 4096;           ///< 512-122880 MiB
  int ephemeral_storage = 20;  ///< 21-200 GiB, or 20 when not given
  int scaling_target_backlog_per_task = 60;
  std::chrono::seconds visibility_timeout{300};
  std::uint32_t max_receive_count = 5;  ///< receives before a message goes to the dead-letter queue
  BatchLimits batch;
  bool track_deletes = false;
  std::optional<int> level;  ///< compression level, 0 (store) to 22
  std::optional<ByteCount> frame_size;
};

/// replication_config.json: one of `destinations`.
struct Destination {
  Region region;
  BucketName bucket;
  std::string kms_key_arn;
  std::string storage_class;  ///< empty: keep the object's own
  bool backup = false;
  friend bool operator==(const Destination&, const Destination&) = default;
};

struct Rule {
  Source source;
  std::vector<Destination> destinations;
};

struct ReplicationConfig {
  Settings settings;
  std::vector<Rule> rules;
};

/// One thing that is wrong in a configuration.
struct Finding {
  std::string file;     ///< "settings.json"
  std::string path;     ///< "replication_configuration[1].source.cpu"; empty: the file as a whole
  std::string message;  ///< what is wrong and what is allowed: "100 is not in 256-16384"
  // Of YAML files, from 1; 0: not known.
  std::uint32_t line = 0, column = 0;
  friend bool operator==(const Finding&, const Finding&) = default;
};
/// "replication_config.json: replication_configuration[1].source.cpu: 100 is not in 256-16384"; with a line,
/// "backup.yaml:7:13: backup.s3.region: ...".
std::string to_string(const Finding& finding);

/// A configuration that is refused, with everything that is wrong in it. kind() is invalid; what() lists the findings,
/// one a line.
class InvalidConfig : public Error {
 public:
  /// `findings` is not empty; `directory` is where the files are, as text to print, or empty.
  explicit InvalidConfig(std::vector<Finding> findings, const std::string& directory = {});
  const std::vector<Finding>& findings() const noexcept { return findings_; }

 private:
  std::vector<Finding> findings_;
};

/// Reads and validates both files of `directory`. Throws InvalidConfig, Error{not_found} when a file is not there.
ReplicationConfig load_replication_config(os::Files& files, const os::fs::path& directory);

/// The pure part: both texts in, the configuration out. Throws InvalidConfig.
ReplicationConfig parse_replication_config(std::string_view settings_json, std::string_view replication_json);

/// The rules through which an object would be copied for ever, as text for a person ("a/x/ -> b -> a/x/"), or nothing.
/// Follows chains of any length, nested prefixes, a rule to its own bucket, and archives that a backup destination puts
/// where a rule picks them up. Exact: a chain whose filters no single key passes is no loop.
std::optional<std::string> find_replication_loop(const std::vector<Rule>& rules);

/// JSON Schemas (draft 2020-12) of both files, for editors: what `bale config schema` prints.
std::string settings_schema();
std::string replication_schema();

// Names that follow from the configuration, or that Settings::given says.

/// "{stack}-{account}-{region}-outbound".
BucketName outbound_bucket(const Settings& settings, const Region& region);
/// "{stack}-{account}-{region}-inbound". Empty only where Settings::given leaves it so.
BucketName inbound_bucket(const Settings& settings, const Region& region);
/// Empty only where Settings::given leaves it so.
BucketName catalog_bucket(const Settings& settings, const Region& region);

/// Queue of one rule's events: "{stack}-source-{bucket}", with "-{prefix and suffix, made safe}-{hash}" where there are
/// filters; at most 76 characters of A-Za-z0-9-_, so that "-dlq" fits behind it (SQS: 80). The hash keeps names apart
/// that would be equal after they were made safe, joined or cut.
QueueName source_queue(const Settings& settings, const Source& source);
/// Queue of archives that arrived in a region's inbound bucket: "{stack}-{region}-target".
QueueName target_queue(const Settings& settings, const Region& region);
/// Queue of archives waiting in a region's outbound bucket to be relayed: "{stack}-{region}-relay".
QueueName relay_queue(const Settings& settings, const Region& region);
/// "{queue}-dlq".
QueueName dead_letter_queue(const QueueName& queue);
/// Table of replicate's own records (landing order of objects whose metadata is full): "{stack}-replication".
TableName replication_table(const Settings& settings);
/// Table of what is learned of compression levels: "{stack}-compression-settings". Empty where none is given.
TableName levels_table(const Settings& settings);

/// "{source_bucket}/{prefix}/" or "{source_bucket}/": where a rule's archives are in staging, backup and catalog
/// buckets.
std::string archive_prefix(const BucketName& bucket, std::string_view prefix);

/// Regions that occur in `destinations`, each once, in order of first use.
std::vector<Region> destination_regions(const std::vector<Destination>& destinations);

}  // namespace bale::config
