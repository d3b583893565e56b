#include "jobs/land/lander.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive/reader.hpp"
#include "archive/same_archive.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "catalog/file.hpp"
#include "config/permitted.hpp"
#include "jobs/land/object_landing.hpp"
#include "jobs/land/permitted_targets.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/copy.hpp"

namespace bale::land {
namespace {

using namespace bale::literals;

/// What can go to `budget` without starving other archives: several parts and frames are in memory at once.
LandingSizes sizes_for(const flow::MemoryBudget& budget) {
  LandingSizes sizes;
  sizes.single_put = std::clamp<ByteCount>(budget.limit() / 8, 8_MiB, 32_MiB);
  sizes.most_part = std::max<ByteCount>(budget.limit() / 8, 8_MiB);
  return sizes;
}

}  // namespace

/// The landing of one archive.
class ArchiveLanding {
 public:
  ArchiveLanding(const ObjectAddress& archive, const store::ObjectInfo& info, store::ObjectStore& store,
                 Destination& destination, flow::Pools pools, flow::MemoryBudget& budget, std::stop_token stop)
      : archive_(archive),
        info_(info),
        store_(store),
        destination_(destination),
        pools_(pools),
        budget_(budget),
        stop_(std::move(stop)),
        source_(transfer::open_object_source(store, archive)),
        reader_(archive::open_archive(*source_, {.budget = &budget})) {
    result_.was_there = true;
    result_.archive_bytes = info.size;
  }

  const archive::Manifest& manifest() const { return reader_->manifest(); }
  std::vector<archive::Remark> remarks() const { return reader_->remarks(); }

  void land_objects(const std::vector<archive::Target>& targets) {
    ObjectLanding landing(manifest(), targets, destination_, pools_.connections, sizes_for(budget_));
    reader_->read({}, landing, pools_, budget_, stop_);
    for (const ObjectFailure& failure : landing.finish()) {
      const archive::ManifestObject& object = manifest().objects[failure.object];
      const BucketName& bucket = targets.front().bucket;
      result_.failures.push_back({to_uri(bucket, destination_key(object)), failure.error, bucket});
    }
    for (const archive::Target& target : targets) result_.object_buckets.push_back(target.bucket);
    result_.objects_written = landing.written();
    result_.objects_kept = landing.kept();
    result_.object_bytes = landing.bytes();
  }

  void store_backups(const std::vector<archive::Target>& targets) {
    for (const archive::Target& target : targets) {
      try {
        const ETag etag = copy_archive(target);
        if (result_.backup_buckets.empty()) backup_etag_ = etag;
        result_.backup_buckets.push_back(target.bucket);
      } catch (const Error& error) {
        result_.failures.push_back({to_uri(target.bucket, archive_.key), error, target.bucket});
      }
    }
  }

  void write_catalog(const BucketName& bucket) {
    const catalog::ArchiveRecords records(*reader_, info_.last_modified, archive_.key, result_.backup_buckets);
    if (records.size() == 0) return;
    result_.catalog = bucket;
    const catalog::Record first = records[0];
    const ObjectAddress file{
        bucket, catalog::catalog_key(first.source_bucket, first.source_prefix, first.backup_time, first.backup_file)};
    try {
      write_catalog_file(file, records);
    } catch (const Error& error) {
      result_.failures.push_back({to_uri(file), error, bucket});
    }
  }

  LandResult& result() { return result_; }
  /// The catalog file that was there and could not be compared; empty where there was none.
  const std::string& kept_catalog_file() const { return kept_catalog_file_; }

 private:
  /// Writes the catalog file, which may be there from an earlier attempt. The file of another archive stays: two
  /// archives of one name in different places below the source would share it, and the first would vanish from the
  /// catalog.
  void write_catalog_file(const ObjectAddress& file, const catalog::ArchiveRecords& records) {
    store::WriteConditions conditions;
    conditions.if_none_match = true;
    try {
      return put_catalog_file(file, records, conditions);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::precondition) throw;
    }
    const CatalogFileThere there = look_at(file);
    if (!there.is_readable) {  // the role of the task may write catalog files and not read them
      kept_catalog_file_ = to_uri(file);
      return;
    }
    if (!there.archive.empty() && there.archive != archive_.key) {
      throw Error(ErrorKind::precondition,
                  "the catalog file of another archive, " + escape_for_terminal(there.archive.str()) +
                      ", has this name, and is left as it is",
                  to_uri(file), "remove the archive from the inbound bucket if it is not one of the source's own");
    }
    conditions.if_none_match = false;
    conditions.if_match = there.etag;
    put_catalog_file(file, records, conditions);
  }

  void put_catalog_file(const ObjectAddress& file, const catalog::ArchiveRecords& records,
                        const store::WriteConditions& conditions) {
    transfer::ObjectSinkOptions options;
    options.attributes.headers.content_type = "application/x-ndjson";
    options.conditions = conditions;
    const auto sink = transfer::open_object_sink(store_, pools_.connections, file, std::move(options));
    lines_.clear();
    for (std::size_t i = 0; i < records.size(); ++i) {
      catalog::Record record = records[i];
      record.archive_etag = backup_etag_;
      append(*sink, catalog::to_file_line(record, i + 1, records.size()), i + 1 == records.size());
    }
    sink->finish();
  }

  /// What is known of a catalog file that is there.
  struct CatalogFileThere {
    bool is_readable = true;
    ETag etag;          ///< empty: it is gone again, or has no bytes
    ObjectKey archive;  ///< of its first sound row; empty where there is none, or where it does not say
  };

  CatalogFileThere look_at(const ObjectAddress& file) {
    CatalogFileThere found;
    try {
      const auto stream = store_.get(file, store::ByteRange::at(0, catalog::most_line_bytes));
      found.etag = stream->info().etag;
      const std::function<void(catalog::Record)> take = [&](const catalog::Record& record) {
        if (found.archive.empty()) found.archive = record.archive_key;
      };
      catalog::FileReader reader(take, catalog::most_line_bytes);
      reader.add(store::read_all(*stream, catalog::most_line_bytes));
      reader.finish();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::denied) return {.is_readable = false, .etag = {}, .archive = {}};
      const bool is_empty = error.code() == "InvalidRange";
      if (error.kind() != ErrorKind::not_found && !is_empty) throw;
    }
    return found;
  }

  /// Collects lines to pieces that are worth a call.
  void append(transfer::ByteSink& sink, const std::string& line, bool is_last) {
    constexpr std::size_t piece_bytes = 1 << 20;
    lines_ += line;
    if (lines_.size() < piece_bytes && !is_last) return;
    Buffer piece(lines_.size());
    piece.append(as_bytes(lines_));
    flow::Ticket ticket = budget_.acquire(piece.size(), stop_);
    sink.append({std::move(piece), std::move(ticket)});
    lines_.clear();
  }

  /// Returns the ETag of the copy.
  ETag copy_archive(const archive::Target& target) {
    const ObjectAddress to{target.bucket, archive_.key};
    const std::string storage_class = target.storage_class.empty() ? "STANDARD" : target.storage_class;
    const auto there = store_.head(to);
    if (there && !archive::is_copy_of(store_, to, *there, info_, manifest(), {.budget = &budget_})) {
      throw Error(ErrorKind::precondition, "another archive has this name, and is left as it is", to_uri(to),
                  "compare both with `bale archive info`, and remove the one in the inbound bucket if it is wrong");
    }
    if (there && there->storage_class == storage_class) return there->etag;
    transfer::CopyOptions options;
    options.version_id = info_.version_id;
    options.storage_class = storage_class;
    options.kms_key_arn = target.kms_key_arn;
    return transfer::copy_object(store_, archive_, store_, to, options, pools_.connections, stop_).etag;
  }

  const ObjectAddress& archive_;
  const store::ObjectInfo& info_;
  store::ObjectStore& store_;
  Destination& destination_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
  std::stop_token stop_;
  std::unique_ptr<transfer::RandomSource> source_;
  std::unique_ptr<archive::Reader> reader_;
  LandResult result_;
  std::string lines_;              ///< of the catalog file, not yet handed on
  std::string kept_catalog_file_;  ///< see kept_catalog_file()
  ETag backup_etag_;               ///< of the first of result_.backup_buckets
};

Lander::Lander(const config::ReplicationConfig& config, Region region, store::ObjectStore& store,
               records::RecordStore& records, os::World& world, telemetry::Log& log, flow::Pools pools,
               flow::MemoryBudget& budget)
    : config_(config),
      region_(std::move(region)),
      store_(store),
      world_(world),
      log_(log),
      pools_(pools),
      budget_(budget),
      destination_(store, records, config::replication_table(config.settings)) {}

LandResult Lander::land(const ObjectAddress& archive, std::stop_token stop) {
  check_inbound(config_, region_, archive);
  const auto started = world_.clock.steady();
  const auto info = store_.head(archive);
  if (!info) return {};
  ArchiveLanding landing(archive, *info, store_, destination_, pools_, budget_, std::move(stop));
  for (const archive::Remark& remark : landing.remarks())
    log_.warning("land.remark", remark.text, {{"archive", to_uri(archive)}});
  const RegionTargets targets = permitted_targets(config_, region_, archive, landing.manifest());
  LandResult& result = landing.result();
  const auto reading = world_.clock.steady();
  if (!targets.normal.empty()) landing.land_objects(targets.normal);
  result.objects_took = std::chrono::duration_cast<Milliseconds>(world_.clock.steady() - reading);
  if (!targets.backup.empty()) landing.store_backups(targets.backup);
  const BucketName catalog = config::catalog_bucket(config_.settings, region_);
  if (!result.backup_buckets.empty() && !catalog.empty()) landing.write_catalog(catalog);
  if (!result.backup_buckets.empty() && catalog.empty()) {
    log_.warning("land.uncatalogued", "a backup is stored without a catalog file: no catalog bucket is named",
                 {{"archive", to_uri(archive)}, {"hint", "set CATALOG_BUCKET_NAME"}});
  }
  if (!landing.kept_catalog_file().empty()) {
    log_.warning(
        "land.catalog_kept", "a catalog file of this name is there, cannot be read, and is left as it is",
        {{"archive", to_uri(archive)},
         {"catalog", landing.kept_catalog_file()},
         {"hint", "allow s3:GetObject in the catalog bucket; `bale check` compares the file with the archive"}});
  }
  result.failures.insert(result.failures.end(), targets.refused.begin(), targets.refused.end());
  if (result.failures.empty() && !config::is_inbound(config_.settings, region_, archive.bucket))
    result.failures.push_back({to_uri(archive), config::unknown_staging(archive), {}});
  // The staged copy may go: it is in the inbound bucket, every write above was durable when it returned, and no target
  // is the inbound bucket.
  if (result.failures.empty()) store_.remove(archive);
  const auto milliseconds = std::chrono::duration_cast<Milliseconds>(world_.clock.steady() - started).count();
  log_.info("land.done", result.failures.empty() ? "landed an archive" : "landed an archive in part",
            {{"archive", to_uri(archive)},
             {"objects", result.objects_written},
             {"kept", result.objects_kept},
             {"backups", result.backup_buckets.size()},
             {"failures", result.failures.size()},
             {"object_bytes", result.object_bytes},
             {"archive_bytes", result.archive_bytes},
             {"milliseconds", milliseconds}});
  return std::move(result);
}

}  // namespace bale::land
