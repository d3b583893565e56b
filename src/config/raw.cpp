#include "config/raw.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"
#include "config/raw_shape.hpp"
#include "config/yaml.hpp"

namespace bale::config {
namespace {

using nlohmann::json;
using Type = Member::Type;

/// Where each value is, by its path ("backup.s3.region").
using Marks = std::map<std::string, YamlMark>;

std::optional<bool> boolean_of(std::string_view text) {
  const std::string word = to_lower(text);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  return std::nullopt;
}

/// A number as decimal digits. "0500" is none: YAML 1.1 reads it as octal, YAML 1.2 as decimal.
std::optional<std::int64_t> integer_of(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Turns a section into the JSON that check_shape() knows, by the types of the shape: what should be a string is one,
/// however YAML would read it ("expected_bucket_owner: 012345678901").
class Converter {
 public:
  explicit Converter(Marks& marks) : marks_(marks) {}

  json convert(const YamlNode& node, const Member* member, const std::string& path) {
    switch (node.kind) {
      case YamlNode::Kind::null: return "";
      case YamlNode::Kind::scalar: return scalar(node, member);
      case YamlNode::Kind::sequence: return sequence(node, member, path);
      case YamlNode::Kind::mapping: return mapping(node, member, path);
    }
    return {};
  }

 private:
  static json scalar(const YamlNode& node, const Member* member) {
    if (member == nullptr || node.is_quoted) return node.text;
    if (member->type == Type::integer) {
      if (const auto value = integer_of(node.text)) return *value;
    }
    if (member->type == Type::boolean) {
      if (const auto value = boolean_of(node.text)) return *value;
    }
    return node.text;
  }
  json sequence(const YamlNode& node, const Member* member, const std::string& path) {
    json all = json::array();
    for (const YamlNode& element : node.elements) {
      const std::string at = element_path(path, all.size());
      marks_[at] = element.mark;
      all.push_back(convert(element, member == nullptr ? nullptr : member->element.get(), at));
    }
    return all;
  }
  json mapping(const YamlNode& node, const Member* member, const std::string& path) {
    json object = json::object();
    for (const YamlMember& one : node.members) {
      const std::string at = member_path(path, one.name);
      const Member* known = member == nullptr || member->shape == nullptr ? nullptr : find(*member->shape, one.name);
      // A value that is wrong is shown where it is; what is missing in a mapping, or unknown, by the name.
      const bool is_scalar = known != nullptr && one.value.kind == YamlNode::Kind::scalar;
      marks_[at] = is_scalar ? one.value.mark : one.mark;
      object[one.name] = convert(one.value, known, at);
    }
    return object;
  }
  static const Member* find(const Shape& shape, const std::string& name) {
    const auto found = std::find_if(shape.members.begin(), shape.members.end(),
                                    [&](const Member& member) { return member.name == name; });
    return found == shape.members.end() ? nullptr : &*found;
  }

  Marks& marks_;
};

/// The mark of a path, or of the nearest thing that it is in.
YamlMark mark_of(const Marks& marks, std::string path) {
  while (true) {
    if (const auto found = marks.find(path); found != marks.end()) return found->second;
    const auto end = path.find_last_of(".[");
    if (end == std::string::npos) return {};
    path.resize(end);
  }
}

// Reading: what has the wrong type was found by check_shape() and counts as absent here.

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

template <typename Number>
void read_number(const json& object, const char* name, Number& into) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_number_integer()) into = static_cast<Number>(found->get<std::int64_t>());
}

void read_seconds(const json& object, const char* name, std::chrono::seconds& into) {
  std::int64_t seconds = into.count();
  read_number(object, name, seconds);
  into = std::chrono::seconds(seconds);
}

RawS3 read_s3(const json& object) {
  RawS3 s3;
  s3.region = Region(text_of(object, "region"));
  s3.bucket_prefix = text_of(object, "bucket_prefix");
  const auto create = object.find("auto_create_buckets");
  s3.auto_create_buckets = create != object.end() && create->is_boolean() && create->get<bool>();
  if (auto project = text_of(object, "fallback_project"); !project.empty()) s3.fallback_project = std::move(project);
  ByteCount mebibytes = s3.part_bytes >> 20;
  read_number(object, "chunk_size_mb", mebibytes);
  s3.part_bytes = mebibytes << 20;
  s3.storage_class = text_of(object, "storage_class");
  s3.sse = text_of(object, "sse");
  s3.kms_key_arn = text_of(object, "kms_key_arn");
  s3.expected_bucket_owner = text_of(object, "expected_bucket_owner");
  s3.endpoint_url = text_of(object, "endpoint_url");
  read_number(object, "retries", s3.retries);
  read_seconds(object, "retry_delay_seconds", s3.retry_delay);
  read_seconds(object, "timeout_seconds", s3.timeout);
  read_number(object, "max_uploads", s3.max_uploads);
  return s3;
}

RawConfig read_backup(const json& object) {
  RawConfig config;
  if (text_of(object, "backup_type") == "s3") config.backup_type = BackupType::s3;
  if (const auto s3 = object.find("s3"); s3 != object.end() && s3->is_object()) config.s3 = read_s3(*s3);
  const std::string purging = text_of(object, "purging_verification_type");
  const bool is_s3 = purging.empty() ? config.backup_type == BackupType::s3 : purging == "s3";
  config.purging_verification = is_s3                      ? PurgingVerification::s3
                                : purging == "force_local" ? PurgingVerification::force_local
                                                           : PurgingVerification::local;
  if (text_of(object, "layout") == "alphakraken") config.layout = KeyLayout::alphakraken;
  config.pool_path = text_of(object, "pool_path");
  if (const auto all = object.find("instruments"); all != object.end() && all->is_object()) {
    for (const auto& [name, path] : all->items())
      if (path.is_string()) config.instruments[name] = path.get<std::string>();
  }
  config.records = text_of(object, "records");
  if (auto table = text_of(object, "records_table"); !table.empty()) config.records_table = TableName(std::move(table));
  read_seconds(object, "lease_seconds", config.lease);
  return config;
}

/// Reads backup.s3.bandwidth_limit, telling everything that is wrong with it.
class BandwidthReader {
 public:
  BandwidthReader(const std::string& file, std::vector<Finding>& findings) : file_(file), findings_(findings) {}

  BandwidthSchedule read(const YamlNode& node) {
    switch (node.kind) {
      case YamlNode::Kind::null: break;
      case YamlNode::Kind::scalar: read_rate(node, {}); break;
      case YamlNode::Kind::mapping: read_periods(node); break;
      case YamlNode::Kind::sequence:
        for (const YamlNode& element : node.elements) {
          if (element.kind == YamlNode::Kind::mapping)
            read_periods(element);
          else
            add(element.mark, "is not a time of day with its limit, such as 08:00-18:00: 20MB");
        }
    }
    return std::move(schedule_);
  }

 private:
  void add(const YamlMark& mark, std::string message) {
    findings_.push_back({file_, "backup.s3.bandwidth_limit", std::move(message), mark.line, mark.column});
  }
  void read_rate(const YamlNode& node, BandwidthSchedule::Period period) {
    if (node.kind != YamlNode::Kind::scalar) return add(node.mark, "is not a size per second, such as 20MB");
    try {
      period.bytes_per_second = parse_bandwidth(node.text);
      schedule_.periods.push_back(period);
    } catch (const Error& error) {
      add(node.mark, error.summary());
    }
  }
  void read_periods(const YamlNode& node) {
    for (const YamlMember& member : node.members) {
      try {
        const auto period = parse_period(member.name);
        if (is_taken(period)) {
          add(member.mark, fmt::format("the time {} overlaps with a period before it", member.name));
          continue;
        }
        read_rate(member.value, period);
      } catch (const Error& error) {
        add(member.mark, error.summary());
      }
    }
  }
  /// Marks the minutes of a period. Returns whether one of them was marked before.
  bool is_taken(const BandwidthSchedule::Period& period) {
    const auto minutes = static_cast<int>(minutes_.size());
    const int from = static_cast<int>(period.from.count()), to = static_cast<int>(period.to.count());
    const int length = from < to ? to - from : to - from + minutes;
    bool taken = false;
    for (int i = 0; i < length; ++i) {
      bool& minute = minutes_[static_cast<std::size_t>((from + i) % minutes)];
      taken = taken || minute;
      minute = true;
    }
    return taken;
  }

  const std::string& file_;
  std::vector<Finding>& findings_;
  BandwidthSchedule schedule_;
  std::array<bool, 24 * 60> minutes_{};
};

const YamlNode* find(const YamlNode& node, std::string_view name) {
  for (const YamlMember& member : node.members)
    if (member.name == name) return &member.value;
  return nullptr;
}

/// Checks what a table of members cannot say.
void check_together(const RawConfig& config, const std::string& file, std::vector<Finding>& findings) {
  const auto found_already = [&](const std::string& path) {
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) { return finding.path == path; });
  };
  const auto add = [&](std::string path, std::string message) {
    if (!found_already(path)) findings.push_back({file, std::move(path), std::move(message)});
  };
  const bool is_s3 = config.backup_type == BackupType::s3;
  if (is_s3 && (!config.s3 || config.s3->region.empty()))
    add("backup.s3.region", "is missing; backup_type s3 needs it");
  if (is_s3 && (!config.s3 || config.s3->bucket_prefix.empty()))
    add("backup.s3.bucket_prefix", "is missing; backup_type s3 needs it");
  if (config.s3 && config.s3->sse == "AES256" && !config.s3->kms_key_arn.empty())
    add("backup.s3.kms_key_arn", "a KMS key goes with sse aws:kms, not with AES256");
  if (is_s3 && config.purging_verification == PurgingVerification::local)
    add("backup.purging_verification_type", "local is refused where backup_type is s3; use s3 or force_local");
  if (!is_s3 && config.purging_verification == PurgingVerification::s3)
    add("backup.purging_verification_type", "s3 needs backup_type s3");
  const auto has_control = [](std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  };
  if (has_control(config.pool_path.native())) add("backup.pool_path", "has a control character");
  for (const auto& [name, path] : config.instruments) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
      add(member_path("backup.instruments", name), "an instrument cannot be called that");
    if (path.empty()) add(member_path("backup.instruments", name), "has no directory");
    if (has_control(name + path.native())) add(member_path("backup.instruments", name), "has a control character");
  }
}

}  // namespace

std::string_view to_string(BackupType type) noexcept { return type == BackupType::s3 ? "s3" : "local"; }

std::string_view to_string(PurgingVerification verification) noexcept {
  switch (verification) {
    case PurgingVerification::local: return "local";
    case PurgingVerification::s3: return "s3";
    case PurgingVerification::force_local: return "force_local";
  }
  return "";
}

std::string_view to_string(KeyLayout layout) noexcept {
  return layout == KeyLayout::alphakraken ? "alphakraken" : "by_id";
}

KeyLayout parse_key_layout(std::string_view text) {
  for (const KeyLayout layout : {KeyLayout::by_id, KeyLayout::alphakraken})
    if (text == to_string(layout)) return layout;
  throw Error(ErrorKind::invalid,
              fmt::format("\"{}\" is not a layout; there are by_id and alphakraken", escape_for_terminal(text)));
}

RawConfig parse_raw_config(std::string_view text, const std::string& file) {
  std::vector<Finding> findings;
  if (text.size() > max_raw_config_bytes)
    throw InvalidConfig({{file, "", fmt::format("has more than {}", format_bytes(max_raw_config_bytes))}});
  const auto section = read_yaml_section(text, file, "backup", findings);
  RawConfig config;
  if (section) {
    Marks marks{{"backup", section->mark}};
    const json backup = Converter(marks).convert(section->value, &backup_member(), "backup");
    std::vector<Finding> found;
    check_shape(backup, backup_member(), file, "backup", found);
    if (backup.is_object()) {
      config = read_backup(backup);
      check_together(config, file, found);
    }
    for (Finding& finding : found) {
      const YamlMark mark = mark_of(marks, finding.path);
      finding.line = mark.line;
      finding.column = mark.column;
      findings.push_back(std::move(finding));
    }
    const YamlNode* s3 = find(section->value, "s3");
    const YamlNode* limit = s3 == nullptr ? nullptr : find(*s3, "bandwidth_limit");
    if (limit != nullptr && config.s3) config.s3->bandwidth_limit = BandwidthReader(file, findings).read(*limit);
  } else if (findings.empty()) {
    findings.push_back({file, "backup", "is missing"});
  }
  if (findings.empty()) return config;
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  throw InvalidConfig(std::move(findings));
}

RawConfig load_raw_config(os::Files& files, const os::fs::path& file) {
  // One byte more than is allowed, so that a larger file is told as a finding, like all else.
  const std::string text = read_text_file(files, file, max_raw_config_bytes + 1);
  RawConfig config = parse_raw_config(text, escape_for_terminal(file.native()));
  const os::fs::path directory = os::fs::absolute(file).parent_path();
  if (!config.pool_path.empty()) config.pool_path = (directory / config.pool_path).lexically_normal();
  if (!config.records.empty() && config.records != raw_records_in_dynamodb)
    config.records = (directory / config.records).lexically_normal().native();
  return config;
}

bool is_yaml_name(std::string_view path) noexcept {
  const auto ends = [&](std::string_view ending) {
    return path.size() > ending.size() && to_lower(path.substr(path.size() - ending.size())) == ending;
  };
  return ends(".yaml") || ends(".yml");
}

std::string raw_schema() {
  return json_schema(raw_shape(), "backup.yaml", "Configuration of bale raw: the section backup of a YAML file.");
}

}  // namespace bale::config
