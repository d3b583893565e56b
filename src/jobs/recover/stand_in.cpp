#include "jobs/recover/stand_in.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive/reader.hpp"
#include "transfer/byte_io.hpp"

namespace bale::recover {
namespace {

std::vector<BucketName> places_of(const catalog::DamagedFile& file, const std::vector<BucketName>& backup_buckets,
                                  const catalog::ArchiveBuckets& allowed) {
  std::vector<BucketName> places = file.buckets;
  std::erase_if(places, [&](const BucketName& bucket) { return !allowed.allows(bucket); });
  for (const BucketName& bucket : backup_buckets) {
    if (std::find(places.begin(), places.end(), bucket) == places.end()) places.push_back(bucket);
  }
  return places;
}

}  // namespace

std::string hint_of_unreadable(const Error& error) {
  if (error.code() != "InvalidObjectState") return error.hint();
  return "ask S3 to make the archive readable for some days (RestoreObject), then repeat the command";
}

ObjectAddress read_stand_in(store::ObjectStore& store, const catalog::DamagedFile& file,
                            const std::vector<BucketName>& backup_buckets, const catalog::ArchiveBuckets& allowed,
                            ByteCount most_memory, const std::function<void(const catalog::Record&)>& visit) {
  if (file.archive_key.empty())
    throw Error(ErrorKind::not_found, "its name does not say which archive it is of", to_uri(file.file));
  const std::vector<BucketName> places = places_of(file, backup_buckets, allowed);
  std::string looked;
  for (const BucketName& bucket : places) {
    const ObjectAddress archive{bucket, file.archive_key};
    looked += (looked.empty() ? "" : ", ") + to_uri(archive);
    const auto info = store.head(archive);
    if (!info) continue;
    const auto source = transfer::open_object_source(store, archive);
    const auto reader =
        archive::open_archive(*source, {.memory = std::min(most_memory, archive::default_memory_share)});
    // The file's rows named every bucket of the region, or buckets that are not allowed: this one has the archive.
    std::vector<BucketName> buckets = file.buckets;
    if (std::find(buckets.begin(), buckets.end(), bucket) == buckets.end()) buckets.insert(buckets.begin(), bucket);
    const catalog::ArchiveRecords rows(*reader, info->last_modified, archive.key, buckets);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      catalog::Record row = rows[i];
      row.archive_bucket = bucket;
      row.archive_etag = info->etag;
      visit(row);
    }
    return archive;
  }
  if (places.empty() && !file.buckets.empty()) {
    throw Error(ErrorKind::denied, "the rows that are left name no backup destination of the configuration",
                to_uri(file.buckets.front(), file.archive_key),
                "if you trust that bucket, give it with --allow-bucket");
  }
  if (places.empty()) {
    throw Error(ErrorKind::not_found, "no row is left that says where the archive is", file.archive_key.str(),
                "give --config DIR (of replicate), which names the backup buckets");
  }
  throw Error(ErrorKind::not_found, "there is no such archive", looked);
}

}  // namespace bale::recover
