#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "catalog/landed_order.hpp"
#include "catalog/scan.hpp"
#include "catalog/version_order.hpp"
#include "config/replication.hpp"
#include "jobs/check/check.hpp"
#include "jobs/check/listing.hpp"
#include "store/content_check.hpp"
#include "store/own_write.hpp"

namespace bale::check {
namespace {

// What is kept of a key: its names and tags, and a map's node.
constexpr ByteCount bytes_per_key = 512;
constexpr ByteCount least_row_bytes = 400;  ///< of a catalog file, per row: the replaced program's have fewer members
constexpr std::size_t read_bytes = 256 << 10;
// Of an object whose metadata is this full, landing keeps the order elsewhere.
constexpr std::size_t order_bytes = 256;

/// What the newest record of a key says.
struct Newest {
  catalog::VersionRank rank;
  std::optional<ByteCount> size;  ///< absent where the row does not say it
  ETag etag;
  std::string sha256;
  bool deleted = false;
  std::vector<Newest> other{};  ///< may turn out to be the newest when more records come: mostly none, at most one
};

/// Adds a record of the same key.
void add_record(Newest& newest, Newest record) {
  std::vector<Newest> all = std::exchange(newest.other, {});
  all.insert(all.begin(), std::move(newest));
  all.push_back(std::move(record));
  std::vector<catalog::VersionRank> ranks;
  for (const Newest& each : all) ranks.push_back(each.rank);
  const std::vector<std::size_t> kept = catalog::contenders(ranks);
  newest = std::move(all[kept.front()]);
  for (std::size_t i = 1; i < kept.size(); ++i) newest.other.push_back(std::move(all[kept[i]]));
}

/// Returns false where the record says another size.
bool can_have(const Newest& record, ByteCount size) noexcept { return !record.size || *record.size == size; }

using NewestByKey = std::map<std::string, Newest>;

/// Whether equal tags are equal content, and different ones need not be: "md5", or "md5-N" of an upload in parts.
bool tells_content(const ETag& etag) {
  return store::is_md5(etag) || (etag.str().size() > 33 && etag.str()[32] == '-' &&
                                 store::is_md5(ETag(std::string_view(etag.str()).substr(0, 32))));
}

std::size_t metadata_bytes(const store::UserMetadata& metadata) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) bytes += name.size() + value.size();
  return bytes;
}

/// How what is at a destination stands to the record.
enum class Version { same, newer, older, foreign, unknown };

Version version_of(const store::ObjectInfo& info, const Newest& record, const BucketName& source) {
  const auto own = info.metadata.find(std::string(catalog::order_metadata));
  const auto landed = own == info.metadata.end() ? std::nullopt : catalog::parse_order(own->second);
  if (!landed) {
    const bool has_room = metadata_bytes(info.metadata) + order_bytes <= store::max_user_metadata_bytes;
    return has_room ? Version::foreign : Version::unknown;
  }
  if (landed->source_bucket != source) {
    // As land::decide() has it.
    return std::tie(landed->order.time, landed->source_bucket) > std::tie(record.rank.order.time, source)
               ? Version::newer
               : Version::older;
  }
  if (landed->order.is_after(record.rank.order)) return Version::newer;
  return record.rank.order.is_after(landed->order) ? Version::older : Version::same;
}

/// The objects of one rule at one destination.
class DestinationCheck {
 public:
  DestinationCheck(const DestinationRule& rule, const Destination& destination, const Options& options,
                   const Tools& tools, Report& report)
      : rule_(rule), destination_(destination), options_(options), tools_(tools), report_(report) {}

  /// Compares with a listing, side by side in the order of the keys.
  void run(const NewestByKey& newest) {
    Listing listing(*destination_.store, destination_.bucket, rule_.prefix.empty() ? "" : rule_.prefix + "/");
    flow::TaskGroup group;
    for (const auto& [key, record] : newest) {
      if (tools_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while comparing destinations");
      if (record.deleted) continue;  // recorded in the catalog alone: destinations keep what they have
      while (listing.peek() != nullptr && listing.peek()->key.str() < key) listing.pop();
      const bool there = listing.peek() != nullptr && listing.peek()->key.str() == key;
      report_.count([](Counts& counts) { ++counts.destination_objects; });
      ++report_.progress().items_done;
      const bool to_read = options_.read_data && options_.read_data->holds(key);
      const bool equal = there && can_have(record, listing.peek()->size) && listing.peek()->etag == record.etag &&
                         tells_content(record.etag);
      if (equal && !to_read) continue;
      group.run(tools_.pools.connections,
                [this, &key = key, &record = record, to_read] { examine(key, record, to_read); });
      group.wait_until_at_most(4 * tools_.pools.connections.size());
      if (group.failed()) break;
    }
    group.wait();
  }

 private:
  void examine(const std::string& key, const Newest& record, bool to_read) {
    const ObjectAddress address{destination_.bucket, ObjectKey(key)};
    try {
      const auto info = destination_.store->head(address);
      if (!info) return add(FindingType::missing_at_destination, key, "the object is not there");
      compare(address, *info, record, to_read);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found)
        return add(FindingType::missing_at_destination, key, "the object is not there");
      Finding finding = finding_of(error, FindingType::different_at_destination, to_uri(address));
      finding.objects = {{rule_.source, ObjectKey(key)}};
      if (finding.type == FindingType::not_readable) report_.count([](Counts& counts) { ++counts.not_readable; });
      report_.add(finding);
    }
  }

  void compare(const ObjectAddress& address, const store::ObjectInfo& info, const Newest& record, bool to_read) {
    const std::string& key = address.key.str();
    const Version version = version_of(info, record, rule_.source);
    if (version == Version::newer) return report_.count([](Counts& counts) { ++counts.destination_newer; });
    const std::string who = version == Version::older     ? "it is an older version: "
                            : version == Version::foreign ? "somebody else wrote it: "
                                                          : "";
    if (!can_have(record, info.size) && version != Version::unknown) {
      return add(FindingType::different_at_destination, key,
                 fmt::format("{}it has {} bytes, the newest record {}", who, info.size, record.size.value()));
    }
    const bool equal = can_have(record, info.size) && info.etag == record.etag && tells_content(record.etag);
    if (to_read && can_have(record, info.size)) return read(address, info, record, version, who);
    if (equal) return;
    if (version == Version::older) return add(FindingType::different_at_destination, key, "it is an older version");
    // With a KMS key an ETag says nothing; of the source nobody knows here whether it had one.
    const bool both_plain = store::is_md5(info.etag) && store::is_md5(record.etag) && info.kms_key_arn.empty();
    if (version == Version::foreign && both_plain)
      return add(FindingType::different_at_destination, key, "somebody else wrote it, with another ETag");
    report_.count([](Counts& counts) { ++counts.destination_unknown; });
  }

  void read(const ObjectAddress& address, const store::ObjectInfo& info, const Newest& record, Version version,
            const std::string& who) {
    // The version that was looked at, or the comparison says nothing.
    const auto stream = destination_.store->get(address, std::nullopt, {.version_id = {}, .if_match = info.etag});
    Sha256 digest;
    // Of a destination whose ETag is not the source's the content is held against the source's.
    const bool by_md5 = store::is_md5(record.etag) && info.etag != record.etag;
    Md5 md5;
    const flow::Ticket ticket = tools_.budget.acquire(read_bytes, tools_.stop);
    Buffer block(read_bytes);
    while (const std::size_t got = stream->read({block.data(), block.capacity()})) {
      digest.update({block.data(), got});
      if (by_md5) md5.update({block.data(), got});
      report_.progress().bytes_done += got;
      if (tools_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while comparing destinations");
    }
    const bool is_checked = store::ContentCheck(stream->info()).is_possible();  // by the stream itself
    report_.count([&](Counts& counts) {
      ++counts.destination_read;
      counts.not_verifiable += record.sha256.empty() && !is_checked ? 1 : 0;
    });
    const bool is_as_packed = record.sha256.empty() || to_hex_digest(digest.finish()) == record.sha256;
    if (is_as_packed && by_md5 && to_hex_digest(md5.finish()) != record.etag.str()) return ask_source(address, record);
    if (is_as_packed) return;
    // Without its mark nobody knows whether it is a later version.
    if (version == Version::unknown) return report_.count([](Counts& counts) { ++counts.destination_unknown; });
    add(FindingType::different_at_destination, address.key.str(),
        who + "the SHA-256 of its content is not that of the newest record");
  }

  /// The content is what was packed, and not what the source's ETag says. An ETag of an encrypted object says nothing.
  void ask_source(const ObjectAddress& address, const Newest& record) {
    const ObjectAddress source{rule_.source, address.key};
    std::optional<store::ObjectInfo> info;
    if (rule_.source_store != nullptr) info = rule_.source_store->head(source);
    if (!info || info->etag != record.etag || info->is_etag_opaque || !info->kms_key_arn.empty())
      return report_.count([](Counts& counts) { ++counts.destination_unknown; });
    report_.add({FindingType::different_at_destination,
                 to_uri(address),
                 {},
                 {source},
                 "its content is not what the source's ETag says: it was damaged before it was packed",
                 "the backup has the same damage; the source still has the object: replicate it again",
                 Repair::none});
  }

  void add(FindingType type, const std::string& key, std::string what) {
    report_.add({type,
                 to_uri(destination_.bucket, ObjectKey(key)),
                 {},
                 {{rule_.source, ObjectKey(key)}},
                 std::move(what),
                 std::string(hint_of(type)),
                 Repair::none});
  }

  const DestinationRule& rule_;
  const Destination& destination_;
  const Options& options_;
  const Tools& tools_;
  Report& report_;
};

/// Where the rule's catalog files are: below its source, and where the replaced program put a region in front.
std::vector<std::string> catalog_prefixes(const DestinationRule& rule) {
  const std::string own = config::archive_prefix(rule.source, rule.prefix) + "year=";
  return {own, rule.source_region.str() + "/" + own};
}

/// How often the catalog has to be read so that the keys of one time fit into memory.
std::uint64_t passes_for(const DestinationRule& rule, ByteCount memory) {
  ByteCount bytes = 0;
  for (const std::string& prefix : catalog_prefixes(rule)) {
    for (Listing listing(*rule.catalog_store, rule.catalog, prefix); listing.peek() != nullptr; listing.pop())
      bytes += listing.peek()->size;
  }
  return bytes / least_row_bytes * bytes_per_key / std::max<ByteCount>(memory, 1) + 1;
}

/// The newest record of each key of a rule whose hash falls to this pass.
NewestByKey newest_records(const DestinationRule& rule, std::uint64_t pass, std::uint64_t passes, const Tools& tools) {
  NewestByKey newest;
  const auto take = [&](const catalog::Record& record) {
    const std::string& key = record.object_path.str();
    const bool below = rule.prefix.empty() || key.starts_with(rule.prefix + "/");
    if (record.source_bucket != rule.source || !below || !key.ends_with(rule.suffix)) return;
    if (xxh64(as_bytes(key)) % passes != pass) return;
    Newest made{{record.order(), record.backup_time}, record.object_size, record.etag, record.sha256, record.deleted};
    const auto [found, is_new] = newest.try_emplace(key, made);
    if (!is_new) add_record(found->second, std::move(made));
  };
  for (const std::string& prefix : catalog_prefixes(rule)) {
    catalog::scan(*rule.catalog_store, rule.catalog, prefix, tools.pools.connections, take,
                  [](const catalog::DamagedFile&) {});  // a finding of check_backups()
  }
  return newest;
}

}  // namespace

void check_destinations(const std::vector<DestinationRule>& rules, const Options& options, const Tools& tools,
                        Report& report) {
  for (const DestinationRule& rule : rules) {
    std::string where = to_uri(rule.catalog, {});
    try {
      const std::uint64_t passes = passes_for(rule, options.row_bytes);
      for (std::uint64_t pass = 0; pass < passes; ++pass) {
        where = to_uri(rule.catalog, {});
        const NewestByKey newest = newest_records(rule, pass, passes, tools);
        for (const Destination& destination : rule.destinations) {
          where = to_uri(destination.bucket, {});
          DestinationCheck(rule, destination, options, tools, report).run(newest);
        }
      }
    } catch (const Error& error) {
      if (error.code() == "EPIPE") throw;
      if (error.code() == "NoSuchBucket") {
        const FindingType type = FindingType::missing_bucket;
        report.add({type, where, {}, {}, "there is no such bucket", std::string(hint_of(type)), {}});
        continue;
      }
      Finding finding = finding_of(error, FindingType::unexamined, where);
      finding.what = "the objects of this destination were not all compared: " + std::string(error.what());
      report.add(finding);
    }
  }
}

}  // namespace bale::check
