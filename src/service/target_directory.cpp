#include "service/target_directory.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/text.hpp"

namespace bale::service {
namespace {

constexpr std::chrono::minutes memory_of_targets{5};

Error wrong(const std::string& name, std::string what) {
  return Error(ErrorKind::invalid, std::move(what), name, "mend the item of the replication parameters table");
}

/// The text of a member; empty where it is absent or null.
std::string text_of(const records::Map& map, const std::string& member, const std::string& name) {
  const auto found = map.find(member);
  if (found == map.end() || std::holds_alternative<records::Null>(found->second.data)) return {};
  const auto* text = std::get_if<std::string>(&found->second.data);
  if (text == nullptr) throw wrong(name, fmt::format("'{}' of a destination is not a string", member));
  return *text;
}

/// Written as a boolean or, by tools that know only text, as "true".
bool flag_of(const records::Map& map, const std::string& member, const std::string& name) {
  const auto found = map.find(member);
  if (found == map.end()) return false;
  if (const bool* flag = std::get_if<bool>(&found->second.data)) return *flag;
  const std::string text = text_of(map, member, name);
  if (text == "true" || text == "True") return true;
  if (text.empty() || text == "false" || text == "False") return false;
  throw wrong(name, fmt::format("'{}' of a destination is neither true nor false", member));
}

archive::Target parse_destination(const records::Value& value, const std::string& name) {
  const auto* map = std::get_if<records::Map>(&value.data);
  if (map == nullptr) throw wrong(name, "a destination is not a map");
  archive::Target target;
  target.region = Region(text_of(*map, "region", name));
  target.bucket = BucketName(text_of(*map, "bucket", name));
  target.kms_key_arn = text_of(*map, "kms_key_arn", name);
  target.storage_class = text_of(*map, "storage_class", name);
  target.backup = flag_of(*map, "backup", name);
  if (target.region.empty()) throw wrong(name, "a destination has no region");
  if (target.bucket.empty()) throw wrong(name, "a destination has no bucket");
  return target;
}

}  // namespace

RuleTargets::RuleTargets(const config::Rule& rule) {
  for (const config::Destination& d : rule.destinations)
    targets_.push_back({d.region, d.bucket, d.kms_key_arn, d.storage_class, d.backup});
}

std::vector<archive::Target> parse_destinations(const records::Item& item, const std::string& name) {
  const auto found = item.find("Destinations");
  const auto* list = found == item.end() ? nullptr : std::get_if<records::List>(&found->second.data);
  if (list == nullptr || list->empty()) throw wrong(name, "the item has no list of Destinations");
  std::vector<archive::Target> targets;
  for (const records::Value& value : *list) targets.push_back(parse_destination(value, name));
  return targets;
}

TableTargets::TableTargets(records::RecordStore& records, TableName table, std::string stack, std::string prefix,
                           os::Clock& clock)
    : records_(records),
      table_(std::move(table)),
      stack_(std::move(stack)),
      prefix_(std::move(prefix)),
      clock_(clock) {}

std::vector<archive::Target> TableTargets::targets_of(const BucketName& bucket) {
  const Lock lock(mutex_);
  const auto now = clock_.steady();
  const auto found = remembered_.find(bucket);
  if (found != remembered_.end() && now - found->second.since < memory_of_targets) return found->second.targets;
  remembered_[bucket] = {look_up(bucket), now};
  return remembered_[bucket].targets;
}

std::vector<archive::Target> TableTargets::look_up(const BucketName& bucket) {
  // The name comes with an event: "bucket/prefix" would find the item of another bucket.
  if (bucket.str().find('/') != std::string::npos)
    throw Error(ErrorKind::invalid, "an event names a bucket that cannot be one", escape_for_terminal(bucket.str()));
  const std::string of_bucket = fmt::format("/{}/{}", stack_, bucket.str());
  // The prefix as the table was filled with it: with or without the slash at its end.
  std::vector<std::string> names;
  if (!prefix_.empty()) names = {of_bucket + "/" + prefix_, of_bucket + "/" + prefix_ + "/"};
  names.push_back(of_bucket);
  for (const std::string& name : names) {
    if (const auto item = records_.get(table_, {{"ParameterName", name}})) return parse_destinations(*item, name);
  }
  throw Error(ErrorKind::not_found,
              fmt::format("no destinations: the table {} has no item {}", table_.str(), names.front()),
              "s3://" + bucket.str(), "add the item; the messages of its objects come back until then");
}

}  // namespace bale::service
