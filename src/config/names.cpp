// The names that follow from a configuration.
#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "config/replication.hpp"

namespace bale::config {
namespace {

/// SQS allows 80 characters; "-dlq" must fit behind the name.
constexpr std::size_t max_queue_name = 76;
constexpr std::size_t hash_digits = 8;

BucketName staging_bucket(const Settings& settings, const Region& region, std::string_view role) {
  return BucketName(fmt::format("{}-{}-{}-{}", settings.stack_name, settings.account, region.str(), role));
}

bool is_queue_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string make_safe(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_queue_character(c); }, '-');
  return text;
}

/// Tells rules apart whose names are equal once joined, made safe and cut. No key contains a zero byte in a filter.
std::string filter_hash(const Source& source) {
  const std::string all = source.bucket.str() + '\0' + source.prefix + '\0' + source.suffix;
  return to_hex_digest(Sha256::of(as_bytes(all))).substr(0, hash_digits);
}

}  // namespace

BucketName outbound_bucket(const Settings& settings, const Region& region) {
  return settings.given ? settings.given->outbound : staging_bucket(settings, region, "outbound");
}
BucketName inbound_bucket(const Settings& settings, const Region& region) {
  return settings.given ? settings.given->inbound : staging_bucket(settings, region, "inbound");
}
BucketName catalog_bucket(const Settings& settings, const Region& region) {
  return settings.given ? settings.given->catalog : staging_bucket(settings, region, "catalog");
}

QueueName source_queue(const Settings& settings, const Source& source) {
  if (settings.given) return settings.given->queue;
  const std::string plain = fmt::format("{}-source-{}", settings.stack_name, source.bucket.str());
  std::string name = plain;
  for (const std::string& filter : {source.prefix, source.suffix}) {
    if (!filter.empty()) name += "-" + filter;
  }
  name = make_safe(name);
  if (name == plain && name.size() <= max_queue_name) return QueueName(name);
  name.resize(std::min(name.size(), max_queue_name - 1 - hash_digits));
  return QueueName(name + "-" + filter_hash(source));
}

QueueName target_queue(const Settings& settings, const Region& region) {
  if (settings.given) return settings.given->queue;
  return QueueName(fmt::format("{}-{}-target", settings.stack_name, region.str()));
}

QueueName relay_queue(const Settings& settings, const Region& region) {
  return QueueName(fmt::format("{}-{}-relay", settings.stack_name, region.str()));
}

QueueName dead_letter_queue(const QueueName& queue) { return QueueName(queue.str() + "-dlq"); }

TableName replication_table(const Settings& settings) { return TableName(settings.stack_name + "-replication"); }

TableName levels_table(const Settings& settings) {
  if (settings.given) return settings.given->levels;
  return TableName(settings.stack_name + "-compression-settings");
}

std::string archive_prefix(const BucketName& bucket, std::string_view prefix) {
  return prefix.empty() ? bucket.str() + "/" : fmt::format("{}/{}/", bucket.str(), prefix);
}

std::vector<Region> destination_regions(const std::vector<Destination>& destinations) {
  std::vector<Region> regions;
  for (const Destination& destination : destinations) {
    if (std::find(regions.begin(), regions.end(), destination.region) == regions.end())
      regions.push_back(destination.region);
  }
  return regions;
}

}  // namespace bale::config
