#include "config/replication.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"
#include "config/schema.hpp"

namespace bale::config {
namespace {

using nlohmann::json;

constexpr const char* settings_file = "settings.json";
constexpr const char* replication_file = "replication_config.json";
constexpr ByteCount max_file_bytes = 16ULL << 20;

// Reading: what has the wrong type was found by check_shape() and counts as absent here.

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

bool flag_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

template <typename Integer>
std::optional<Integer> number_of(const json& object, const char* name) {
  const json* value = member(object, name);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  return static_cast<Integer>(value->get<std::int64_t>());
}

template <typename Integer>
void read_number(const json& object, const char* name, Integer& into) {
  into = number_of<Integer>(object, name).value_or(into);
}

void read_seconds(const json& object, const char* name, std::chrono::seconds& into) {
  into = std::chrono::seconds(number_of<std::int64_t>(object, name).value_or(into.count()));
}

/// The elements of an array; none where it is none.
std::vector<json> elements_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_array() ? value->get<std::vector<json>>() : std::vector<json>{};
}

EnabledRegion read_region(const json& object) {
  EnabledRegion region;
  region.region = Region(text_of(object, "region"));
  region.vpc_cidr = text_of(object, "vpc_cidr");
  for (const json& role : elements_of(object, "source_target")) {
    if (role == "source") region.source = true;
    if (role == "target") region.target = true;
  }
  read_number(object, "availability_zones", region.availability_zones);
  return region;
}

Settings read_settings(const json& object) {
  Settings settings;
  settings.stack_name = text_of(object, "stack_name");
  if (const std::string account = text_of(object, "account"); !account.empty()) settings.account = account;
  for (const json& region : elements_of(object, "enabled_regions"))
    settings.enabled_regions.push_back(read_region(region));
  for (const json& email : elements_of(object, "notification_emails")) {
    if (!email.is_string()) continue;
    if (auto address = email.get<std::string>(); !address.empty())
      settings.notification_emails.push_back(std::move(address));
  }
  if (const json* tags = member(object, "tags"); tags != nullptr && tags->is_object()) {
    for (const auto& [name, value] : tags->items()) {
      if (value.is_string()) settings.tags[name] = value.get<std::string>();
    }
  }
  return settings;
}

BatchLimits read_batch(const json& object) {
  BatchLimits batch;
  read_number(object, "max_objects", batch.max_objects);
  read_number(object, "max_bytes", batch.max_bytes);
  read_seconds(object, "max_wait_seconds", batch.max_wait);
  return batch;
}

Source read_source(const json& object) {
  Source source;
  source.region = Region(text_of(object, "region"));
  source.bucket = BucketName(text_of(object, "bucket"));
  source.kms_key_arn = text_of(object, "kms_key_arn");
  source.prefix = text_of(object, "prefix_filter");
  // "/" alone is not the same as "": it is kept, and refused later.
  if (source.prefix.size() > 1 && source.prefix.ends_with('/')) source.prefix.pop_back();
  source.suffix = text_of(object, "suffix_filter");
  read_number(object, "scaling_limit", source.scaling_limit);
  read_number(object, "cpu", source.cpu);
  read_number(object, "memory", source.memory);
  read_number(object, "ephemeral_storage", source.ephemeral_storage);
  read_number(object, "scaling_target_backlog_per_task", source.scaling_target_backlog_per_task);
  read_seconds(object, "visibility_timeout", source.visibility_timeout);
  read_number(object, "max_receive_count", source.max_receive_count);
  if (const json* batch = member(object, "batch")) source.batch = read_batch(*batch);
  source.track_deletes = flag_of(object, "track_deletes");
  source.level = number_of<int>(object, "level");
  source.frame_size = number_of<ByteCount>(object, "frame_size");
  return source;
}

Destination read_destination(const json& object) {
  return {Region(text_of(object, "region")), BucketName(text_of(object, "bucket")), text_of(object, "kms_key_arn"),
          text_of(object, "storage_class"), flag_of(object, "backup")};
}

Rule read_rule(const json& object) {
  Rule rule;
  if (const json* source = member(object, "source")) rule.source = read_source(*source);
  for (const json& destination : elements_of(object, "destinations"))
    rule.destinations.push_back(read_destination(destination));
  return rule;
}

// Checking what a table of members cannot say.

std::string rule_path(std::size_t rule) { return element_path("replication_configuration", rule); }
std::string source_path(std::size_t rule) { return rule_path(rule) + ".source"; }
std::string destination_path(std::size_t rule, std::size_t destination) {
  return element_path(rule_path(rule) + ".destinations", destination);
}

/// Holds both files against each other and the rules against S3's. Empty names were found before and are passed over.
class Checker {
 public:
  Checker(const ReplicationConfig& config, std::vector<Finding>& findings) : config_(config), findings_(findings) {}

  void run() {
    check_regions();
    check_stack_names();
    check_tags();
    for (std::size_t i = 0; i < config_.rules.size(); ++i) {
      check_source(i);
      for (std::size_t j = 0; j < config_.rules[i].destinations.size(); ++j) check_destination(i, j);
      check_overlap(i);
    }
    if (const auto loop = find_replication_loop(config_.rules))
      add(replication_file, "replication_configuration", "objects would be copied for ever: " + *loop);
  }

 private:
  void add(const char* file, const std::string& path, std::string message) {
    findings_.push_back({file, path, std::move(message)});
  }

  /// Whether the shape of this member of replication_config.json was wrong: saying it again helps nobody.
  bool found_already(const std::string& path) const {
    return std::any_of(findings_.begin(), findings_.end(),
                       [&](const Finding& f) { return f.file == replication_file && f.path == path; });
  }

  void check_regions() {
    std::set<Region> seen;
    for (std::size_t i = 0; i < config_.settings.enabled_regions.size(); ++i) {
      const EnabledRegion& enabled = config_.settings.enabled_regions[i];
      const std::string path = element_path("enabled_regions", i);
      if (!enabled.region.empty() && !seen.insert(enabled.region).second)
        add(settings_file, path + ".region", fmt::format("{} is given twice", enabled.region.str()));
      if (!enabled.vpc_cidr.empty() && !is_cidr(enabled.vpc_cidr))
        add(settings_file, path + ".vpc_cidr", fmt::format("\"{}\": a part of an address is 0-255", enabled.vpc_cidr));
    }
  }

  static bool is_cidr(std::string_view text) {
    for (const std::string_view part : split(text.substr(0, text.find('/')), '.')) {
      int value = 0;
      std::from_chars(part.data(), part.data() + part.size(), value);
      if (value > 255) return false;
    }
    return true;
  }

  /// Staging buckets bear the name of the stack: "{stack}-{account}-{region}-outbound" is the longest.
  void check_stack_names() {
    constexpr std::size_t most = 63;
    if (config_.settings.stack_name.empty()) return;
    for (const EnabledRegion& enabled : config_.settings.enabled_regions) {
      const std::string longest = outbound_bucket(config_.settings, enabled.region).str();
      if (enabled.region.empty() || longest.size() <= most) continue;
      add(settings_file, "stack_name",
          fmt::format("too long by {}: the bucket {} would have {} characters, S3 allows {}", longest.size() - most,
                      longest, longest.size(), most));
    }
  }

  /// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
  void check_tags() {
    constexpr std::size_t most_tags = 50, most_name = 128, most_value = 256;
    if (config_.settings.tags.size() > most_tags)
      add(settings_file, "tags",
          fmt::format("{} tags; at most {} are allowed", config_.settings.tags.size(), most_tags));
    for (const auto& [name, value] : config_.settings.tags) {
      const std::string path = member_path("tags", name);
      if (name.empty() || name.size() > most_name)
        add(settings_file, path, fmt::format("the name of a tag has 1-{} characters", most_name));
      if (name.starts_with("aws:")) add(settings_file, path, "names that start with \"aws:\" are reserved");
      if (value.size() > most_value)
        add(settings_file, path, fmt::format("the value of a tag has at most {} characters", most_value));
    }
  }

  void check_source(std::size_t i) {
    const Source& source = config_.rules[i].source;
    const std::string path = source_path(i);
    check_role(path, source.region, &EnabledRegion::source, "source");
    check_bucket(path, source.bucket, source.region);
    check_key_region(path, source.kms_key_arn, source.region);
    check_filters(path, source);
    check_deletions(path, config_.rules[i]);
  }

  /// Deletions are recorded in the catalog of a backup and nowhere else: without one, archives would carry them in
  /// vain.
  void check_deletions(const std::string& path, const Rule& rule) {
    const auto is_backup = [](const Destination& destination) { return destination.backup; };
    if (!rule.source.track_deletes || std::any_of(rule.destinations.begin(), rule.destinations.end(), is_backup))
      return;
    add(replication_file, path + ".track_deletes",
        "deletions are recorded in the catalog of a backup, and the rule has no destination with \"backup\": true");
  }

  void check_destination(std::size_t i, std::size_t j) {
    const std::vector<Destination>& all = config_.rules[i].destinations;
    const Destination& destination = all[j];
    const std::string path = destination_path(i, j);
    check_role(path, destination.region, &EnabledRegion::target, "target");
    check_bucket(path, destination.bucket, destination.region);
    check_key_region(path, destination.kms_key_arn, destination.region);
    for (std::size_t k = 0; k < j && !destination.bucket.empty(); ++k) {
      if (all[k].bucket == destination.bucket && all[k].backup == destination.backup)
        add(replication_file, path, fmt::format("the same destination as {}", destination_path(i, k)));
    }
  }

  /// The region must be enabled, and for what the rule uses it.
  void check_role(const std::string& path, const Region& region, bool EnabledRegion::*role, std::string_view name) {
    const auto& enabled = config_.settings.enabled_regions;
    if (region.empty() || enabled.empty()) return;
    const auto found = std::find_if(enabled.begin(), enabled.end(), [&](const auto& e) { return e.region == region; });
    if (found == enabled.end()) {
      std::vector<std::string> names;
      for (const EnabledRegion& one : enabled) names.push_back(one.region.str());
      add(replication_file, path + ".region",
          fmt::format("{} is not in enabled_regions of settings.json ({})", region.str(), fmt::join(names, ", ")));
    } else if (!((*found).*role)) {
      add(replication_file, path + ".region",
          fmt::format("{} is not enabled as a {}: \"{}\" is not in its source_target in settings.json", region.str(),
                      name, name));
    }
  }

  /// A legal name, in one region only, and none of the buckets that the stack makes for itself.
  void check_bucket(const std::string& parent, const BucketName& bucket, const Region& region) {
    if (bucket.empty()) return;
    const std::string path = parent + ".bucket";
    try {
      check_bucket_name(bucket);
    } catch (const Error& error) {
      if (!found_already(path)) add(replication_file, path, error.summary());
      return;
    }
    const auto [first, fresh] = regions_of_buckets_.try_emplace(bucket, region, parent);
    if (!fresh && !region.empty() && !first->second.first.empty() && first->second.first != region) {
      add(replication_file, parent + ".region",
          fmt::format("bucket {} is in {} according to {}; a bucket is in one region", bucket.str(),
                      first->second.first.str(), first->second.second));
    }
    for (const EnabledRegion& enabled : config_.settings.enabled_regions) {
      for (const auto& staging : {outbound_bucket, inbound_bucket, catalog_bucket}) {
        if (staging(config_.settings, enabled.region) == bucket)
          add(replication_file, path, fmt::format("{} is a bucket that Bale uses itself", bucket.str()));
      }
    }
  }

  /// A key encrypts in its own region only: arn:aws:kms:REGION:ACCOUNT:key/ID.
  void check_key_region(const std::string& path, const std::string& arn, const Region& region) {
    const std::vector<std::string_view> parts = split(arn, ':');
    constexpr std::size_t region_part = 3;
    if (parts.size() <= region_part || region.empty() || parts[region_part] == region.str()) return;
    add(replication_file, path + ".kms_key_arn",
        fmt::format("the key is in {}, the bucket in {}", parts[region_part], region.str()));
  }

  void check_filters(const std::string& path, const Source& source) {
    constexpr std::size_t most = 1024;  // bytes of an object key
    if (source.prefix.ends_with('/')) {
      return add(replication_file, path + ".prefix_filter",
                 fmt::format("\"{}/\": a prefix has one '/' at its end at most, and something before it",
                             source.prefix == "/" ? "" : source.prefix));
    }
    // Of the keys that contain a prefix, those of catalog files are the longest.
    const std::size_t longest = archive_prefix(source.bucket, source.prefix).size() +
                                std::string_view("year=2025/month=01/day=23/").size() +
                                std::string_view("backup_1737623107000_0123abcd.tar.zst.jsonl").size();
    if (longest > most) {
      add(replication_file, path + ".prefix_filter",
          fmt::format("too long by {} bytes: keys of catalog files would have {}, S3 allows {}", longest - most,
                      longest, most));
    }
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    if (source.suffix.size() > most)
      add(replication_file, path + ".suffix_filter", fmt::format("{} bytes; S3 allows {}", source.suffix.size(), most));
  }

  /// S3 refuses notifications of one bucket whose prefixes overlap and whose suffixes overlap.
  void check_overlap(std::size_t i) {
    const Source& mine = config_.rules[i].source;
    const auto with_slash = [](const Source& source) { return source.prefix.empty() ? "" : source.prefix + "/"; };
    for (std::size_t k = 0; k < i && !mine.bucket.empty(); ++k) {
      const Source& other = config_.rules[k].source;
      if (other.bucket != mine.bucket) continue;
      const std::string a = with_slash(mine), b = with_slash(other);
      const bool prefixes = a.starts_with(b) || b.starts_with(a);
      const bool suffixes = mine.suffix.ends_with(other.suffix) || other.suffix.ends_with(mine.suffix);
      if (!prefixes || !suffixes) continue;
      add(replication_file, source_path(i),
          fmt::format("takes objects that {} takes too (bucket {}): S3 refuses overlapping filters. Use filters that "
                      "no key passes together, or one rule with several destinations",
                      source_path(k), mine.bucket.str()));
    }
  }

  const ReplicationConfig& config_;
  std::vector<Finding>& findings_;
  /// Where a bucket was named first: its region, and the path of who said so.
  std::map<BucketName, std::pair<Region, std::string>> regions_of_buckets_;
};

std::string all_findings(const std::vector<Finding>& findings, const std::string& directory) {
  std::string text =
      directory.empty() ? "the configuration is wrong" : "the configuration in " + directory + " is wrong";
  text += findings.size() == 1 ? ":" : fmt::format(" in {} places:", findings.size());
  for (const Finding& finding : findings) text += "\n  " + to_string(finding);
  return text;
}

/// One file: parsed, and held against its shape. An empty object where it is not JSON.
json read_file(std::string_view text, const char* file, const Shape& shape, std::vector<Finding>& findings) {
  json value = parse_json(text, file, findings);
  if (value.is_discarded()) return json::object();
  check_shape(value, {.type = Member::Type::object, .shape = &shape}, file, "", findings);
  return value;
}

}  // namespace

std::string to_string(const Finding& finding) {
  std::string text = finding.file;
  if (finding.line != 0) text += fmt::format(":{}:{}", finding.line, finding.column);
  if (!finding.path.empty()) text += fmt::format(": {}", escape_for_terminal(finding.path));
  return fmt::format("{}: {}", text, finding.message);
}

InvalidConfig::InvalidConfig(std::vector<Finding> findings, const std::string& directory)
    : Error(ErrorKind::invalid, all_findings(findings, directory), {},
            "docs/configuration.md describes every member; `bale config schema` prints schemas for editors"),
      findings_(std::move(findings)) {}

ReplicationConfig parse_replication_config(std::string_view settings_json, std::string_view replication_json) {
  std::vector<Finding> findings;
  ReplicationConfig config;
  config.settings = read_settings(read_file(settings_json, settings_file, settings_shape(), findings));
  const json rules = read_file(replication_json, replication_file, replication_shape(), findings);
  for (const json& rule : elements_of(rules, "replication_configuration")) config.rules.push_back(read_rule(rule));
  Checker(config, findings).run();
  if (!findings.empty()) throw InvalidConfig(std::move(findings));
  return config;
}

ReplicationConfig load_replication_config(os::Files& files, const os::fs::path& directory) {
  const std::string settings = read_text_file(files, directory / settings_file, max_file_bytes);
  const std::string rules = read_text_file(files, directory / replication_file, max_file_bytes);
  try {
    return parse_replication_config(settings, rules);
  } catch (const InvalidConfig& error) {
    throw InvalidConfig(error.findings(), escape_for_terminal(directory.native()));
  }
}

}  // namespace bale::config
