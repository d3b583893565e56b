#include "catalog/archive_buckets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace bale::catalog {

void ArchiveBuckets::add_source(const BucketName& source) {
  is_limited_ = true;
  backups_of_[source];
}

void ArchiveBuckets::add_backup(const BucketName& source, const BucketName& backup) {
  is_limited_ = true;
  backups_of_[source].insert(backup);
  backups_.insert(backup);
}

void ArchiveBuckets::add(const BucketName& bucket) {
  is_limited_ = true;
  by_hand_.insert(bucket);
}

bool ArchiveBuckets::allows(const BucketName& source, const BucketName& bucket) const {
  if (!is_limited_ || by_hand_.contains(bucket)) return true;
  const auto own = backups_of_.find(source);
  return own == backups_of_.end() ? backups_.contains(bucket) : own->second.contains(bucket);
}

bool ArchiveBuckets::allows(const BucketName& bucket) const {
  return !is_limited_ || by_hand_.contains(bucket) || backups_.contains(bucket);
}

/// Landing stores archives below the name of the source bucket. Archives of S3 Cross-Region Compressor may be below the
/// source prefix alone: "{source_prefix}/{backup_file}".
bool ArchiveBuckets::has_own_key(const Record& record, const ObjectKey& key) const {
  if (backups_of_.empty()) return true;
  if (key.str().starts_with(record.source_bucket.str() + "/")) return true;
  if (record.backup_file.find('/') != std::string::npos) return false;
  const bool is_below_prefix =
      key.str() == record.source_prefix + (record.source_prefix.empty() ? "" : "/") + record.backup_file;
  // A prefix may have the name of a bucket; of another source's bucket it would lead to that source's archives.
  const BucketName first(key.str().substr(0, key.str().find('/')));
  return is_below_prefix && !backups_of_.contains(first);
}

std::vector<ObjectAddress> ArchiveBuckets::places_of(const Record& record) const {
  std::vector<ObjectAddress> places = archive_places(record);
  if (!is_limited_) return places;
  std::erase_if(places, [&](const ObjectAddress& place) {
    return !allows(record.source_bucket, place.bucket) || !has_own_key(record, place.key);
  });
  return places;
}

std::optional<Error> ArchiveBuckets::refusal_of(const Record& record) const {
  if (!is_limited_ || !places_of(record).empty()) return std::nullopt;
  const std::vector<ObjectAddress> named = archive_places(record);
  if (named.empty()) return std::nullopt;
  const auto is_allowed = [&](const ObjectAddress& place) { return allows(record.source_bucket, place.bucket); };
  const auto allowed = std::find_if(named.begin(), named.end(), is_allowed);
  if (allowed != named.end()) {
    return Error(ErrorKind::denied,
                 fmt::format("the catalog row names an archive that does not belong to the source bucket {}",
                             escape_for_terminal(record.source_bucket.str())),
                 to_uri(*allowed), "`bale archive extract` gets objects out of any archive that you trust");
  }
  const std::string bucket = escape_for_terminal(named.front().bucket.str());
  return Error(ErrorKind::denied,
               fmt::format("the catalog row names the bucket {}, which is no backup destination of {} in the "
                           "configuration",
                           bucket, escape_for_terminal(record.source_bucket.str())),
               to_uri(named.front()), fmt::format("if you trust what is in it, give --allow-bucket {}", bucket));
}

void ArchiveBuckets::restrict(Record& record) const {
  if (!is_limited_) return;
  std::vector<BucketName> buckets;
  for (const ObjectAddress& place : places_of(record)) {
    if (std::find(buckets.begin(), buckets.end(), place.bucket) == buckets.end()) buckets.push_back(place.bucket);
  }
  record.archive_bucket = buckets.empty() ? BucketName() : buckets.front();
  record.target_buckets = std::move(buckets);
}

}  // namespace bale::catalog
