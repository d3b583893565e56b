#include "config/permitted.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace bale::config {
namespace {

constexpr std::string_view redrive_hint =
    "correct the configuration if it should allow this, then `bale replicate redrive` brings the message back from the "
    "dead-letter queue";

std::string shown(const BucketName& bucket) { return escape_for_terminal(bucket.str()); }

/// Whether one of two monitored prefixes lies in the other.
bool are_nested(const std::string& a, const std::string& b) {
  const auto lies_in = [](const std::string& inner, const std::string& outer) {
    return outer.empty() || inner == outer || inner.starts_with(outer + "/");
  };
  return lies_in(a, b) || lies_in(b, a);
}

/// Whether a bucket's name is that of a staging or catalog bucket: "{stack}-{account}-{region}-{role}".
bool has_role(const Settings& settings, const BucketName& bucket, std::string_view role) {
  return bucket.str().starts_with(settings.stack_name + "-") && bucket.str().ends_with("-" + std::string(role));
}

/// Whether a key has an empty component, "." or "..": archives of Bale and of S3 Cross-Region Compressor have none.
bool has_odd_component(const ObjectKey& key) {
  const std::vector<std::string_view> parts = split(key.str(), '/');
  return std::any_of(parts.begin(), parts.end(),
                     [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

bool is_source(const std::vector<NamedSource>& sources, const BucketName& bucket) {
  return std::any_of(sources.begin(), sources.end(), [&](const NamedSource& source) { return source.first == bucket; });
}

}  // namespace

Error foreign_event(const QueueName& queue, const ObjectAddress& object, const BucketName& expected) {
  return Error(ErrorKind::denied,
               fmt::format("the queue {} got an event of the bucket {}, and only events of {} are worked on",
                           queue.str(), shown(object.bucket), expected.str()),
               to_uri(object),
               "send the bucket's events to the queue of its own service; the dead-letter queue keeps this one");
}

void check_staging(const ObjectAddress& archive, const BucketName& staging, std::string_view role) {
  if (archive.bucket == staging) return;
  throw Error(ErrorKind::denied,
              fmt::format("the archive is not in the {} bucket {}, and is left alone", role, staging.str()),
              to_uri(archive), "see which rule sends events of this bucket to the queue");
}

std::vector<const Rule*> rules_of_archive(const ReplicationConfig& config, const ObjectAddress& archive,
                                          const std::vector<NamedSource>& sources) {
  if (sources.empty()) throw Error(ErrorKind::denied, "the archive does not say what its source is", to_uri(archive));
  const BucketName& bucket = sources.front().first;
  if (sources.back().first != bucket) {
    throw Error(ErrorKind::denied,
                fmt::format("the archive claims to be of several source buckets ({}, {})", shown(bucket),
                            shown(sources.back().first)),
                to_uri(archive));
  }
  std::vector<const Rule*> exact, nested;
  for (const Rule& rule : config.rules) {
    if (rule.source.bucket != bucket) continue;
    const auto all = [&](auto matches) { return std::all_of(sources.begin(), sources.end(), matches); };
    if (all([&](const NamedSource& source) { return source.second == rule.source.prefix; })) exact.push_back(&rule);
    if (all([&](const NamedSource& source) { return are_nested(source.second, rule.source.prefix); }))
      nested.push_back(&rule);
  }
  std::vector<const Rule*>& rules = exact.empty() ? nested : exact;
  if (rules.empty()) {
    throw Error(ErrorKind::denied,
                fmt::format("the archive claims to be of {}, which is no source of the configuration",
                            escape_for_terminal(archive_prefix(bucket, sources.front().second))),
                to_uri(archive), std::string(redrive_hint));
  }
  if (!archive.key.str().starts_with(bucket.str() + "/")) {
    throw Error(ErrorKind::denied,
                fmt::format("the archive claims to be of {}, and its key is not below that name", shown(bucket)),
                to_uri(archive));
  }
  if (has_odd_component(archive.key)) {
    throw Error(ErrorKind::denied, "the archive's key has an empty component, \".\" or \"..\"", to_uri(archive));
  }
  return std::move(rules);
}

const Destination* find_destination(const std::vector<const Rule*>& rules, const Region& region,
                                    const BucketName& bucket, bool backup) {
  for (const Rule* rule : rules) {
    for (const Destination& destination : rule->destinations) {
      if (destination.region == region && destination.bucket == bucket && destination.backup == backup)
        return &destination;
    }
  }
  return nullptr;
}

Error unconfigured_destination(const ObjectAddress& archive, const Region& region, const BucketName& bucket,
                               bool backup) {
  return Error(
      ErrorKind::denied,
      fmt::format("the archive asks for the {} {} in {}, which the configuration does not have for its source",
                  backup ? "backup destination" : "destination", shown(bucket), escape_for_terminal(region.str())),
      to_uri(archive), std::string(redrive_hint));
}

void check_given_archive(const Settings& settings, const Region& region, const ObjectAddress& archive,
                         const std::vector<NamedSource>& sources, const std::vector<BucketName>& named) {
  for (const auto& [bucket, prefix] : sources) {
    // The key of a catalog file begins with it.
    if (bucket.empty() || bucket.str().find('/') != std::string::npos) {
      throw Error(ErrorKind::denied, fmt::format("the archive claims to be of a bucket '{}'", shown(bucket)),
                  to_uri(archive));
    }
  }
  const BucketName inbound = inbound_bucket(settings, region);
  if (!inbound.empty()) return check_staging(archive, inbound, "inbound");
  const bool is_destination = std::find(named.begin(), named.end(), archive.bucket) != named.end();
  const bool has_other_role = archive.bucket == catalog_bucket(settings, region) ||
                              has_role(settings, archive.bucket, "outbound") ||
                              has_role(settings, archive.bucket, "catalog");
  if (!is_destination && !has_other_role && !is_source(sources, archive.bucket)) return;
  throw Error(ErrorKind::denied,
              fmt::format("the archive is in {}, which is {}, and is left alone", shown(archive.bucket),
                          is_destination   ? "one of its destinations"
                          : has_other_role ? "no inbound bucket"
                                           : "its source"),
              to_uri(archive), "set BUCKET to the name of the inbound bucket");
}

bool is_stack_bucket(const Settings& settings, const Region& region, std::string_view role, const BucketName& bucket) {
  const std::string begin = settings.stack_name + "-", end = fmt::format("-{}-{}", region.str(), role);
  const std::string_view name = bucket.str();
  constexpr std::size_t account_digits = 12;
  return name.size() == begin.size() + account_digits + end.size() && name.starts_with(begin) && name.ends_with(end) &&
         name.substr(begin.size(), account_digits).find_first_not_of("0123456789") == name.npos;
}

bool is_inbound(const Settings& settings, const Region& region, const BucketName& bucket) {
  const BucketName inbound = inbound_bucket(settings, region);
  if (!inbound.empty()) return bucket == inbound;
  const std::string& queue = settings.given->queue.str();  // on AWS a URL
  return is_stack_bucket(settings, region, "inbound", bucket) ||
         std::string_view(queue).substr(queue.find_last_of('/') + 1) == bucket.str() + "-queue";
}

Error unknown_staging(const ObjectAddress& archive) {
  return Error(ErrorKind::denied,
               fmt::format("the archive has landed and is not deleted: nothing says that {} is the inbound bucket",
                           shown(archive.bucket)),
               to_uri(archive), "set BUCKET to the name of the inbound bucket");
}

bool is_given_destination(const Settings& settings, const Region& region, const ObjectAddress& archive,
                          const std::vector<NamedSource>& sources, const BucketName& bucket) {
  const auto has = [&](std::string_view role) { return has_role(settings, bucket, role); };
  return bucket != archive.bucket && bucket != catalog_bucket(settings, region) &&
         bucket != inbound_bucket(settings, region) && !has("inbound") && !has("outbound") && !has("catalog") &&
         !is_source(sources, bucket);
}

}  // namespace bale::config
