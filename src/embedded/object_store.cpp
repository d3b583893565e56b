#include "embedded/object_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "embedded/bucket_settings.hpp"
#include "embedded/message_queue.hpp"
#include "embedded/object_data.hpp"
#include "store/content_check.hpp"
#include "store/object_rules.hpp"

namespace bale::embedded {
namespace {

using Durability = Database::Durability;

/// A GET of a file that stays open: the bytes are those of the version that was found, whatever happens to the key.
class FileGetStream final : public store::GetStream {
 public:
  FileGetStream(store::ObjectInfo info, store::Extent extent, std::unique_ptr<os::ReadableFile> file,
                ObjectAddress object)
      : info_(std::move(info)), extent_(extent), file_(std::move(file)), object_(std::move(object)) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return extent_.length; }
  ByteCount offset() const override { return extent_.offset; }
  std::size_t read(MutableBytes bytes) override {
    const auto wanted = static_cast<std::size_t>(std::min<ByteCount>(bytes.size(), extent_.length - done_));
    if (wanted == 0) return 0;
    const std::size_t got = file_->read_at(extent_.offset + done_, bytes.first(wanted));
    if (got == 0) throw Error(ErrorKind::corrupt, "the object's data file is shorter than the object", to_uri(object_));
    done_ += got;
    return got;
  }

 private:
  const store::ObjectInfo info_;
  const store::Extent extent_;
  const std::unique_ptr<os::ReadableFile> file_;
  const ObjectAddress object_;
  ByteCount done_ = 0;
};

Error refuse(const char* code, std::string what, const ObjectAddress& object) {
  return Error(ErrorKind::invalid, std::move(what), to_uri(object)).with_code(code);
}

/// The end of the day on which a restored copy goes, as S3 rounds it.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
TimePoint restore_end(TimePoint now, int days) {
  return std::chrono::ceil<std::chrono::days>(now + std::chrono::days(days));
}

void check_restore(const VersionRow& row, const ObjectAddress& object, int days, const std::string& tier) {
  if (!store::is_archive_class(row.stored.storage_class)) {
    throw Error(ErrorKind::denied, fmt::format("objects in {} need no restore", row.stored.storage_class),
                to_uri(object))
        .with_code("InvalidObjectState");
  }
  if (days < 1) throw refuse("InvalidArgument", "a restore is for at least one day", object);
  const bool known = tier == "Standard" || tier == "Bulk" || tier == "Expedited" || tier.empty();
  if (!known || (tier == "Expedited" && row.stored.storage_class == "DEEP_ARCHIVE"))
    throw refuse("InvalidArgument", fmt::format("'{}' is not a tier of {}", tier, row.stored.storage_class), object);
}

std::string store_id(Database& database) {
  Query row = database.query("SELECT id FROM store_identity");
  return row.step() ? row.text(0) : std::string();
}

}  // namespace

void EmbeddedStore::create_bucket(const BucketName& bucket) {
  check_bucket_name(bucket);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    if (find_bucket(context.database, bucket)) {
      throw Error(ErrorKind::precondition, "the bucket exists already", "s3://" + bucket.str())
          .with_code("BucketAlreadyOwnedByYou");
    }
    context.database.execute("INSERT INTO buckets(name, region, created) VALUES(?, ?, ?)", bucket.str(), region_.str(),
                             to_epoch_ms(now()));
  });
}

void EmbeddedStore::delete_bucket(const BucketName& bucket) {
  std::vector<UploadId> uploads;
  std::vector<WriterJournal::Announcement> announced;
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow row = require_bucket(context.database, bucket);
    if (context.database.query("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", row.id).step()) {
      throw Error(ErrorKind::precondition, "the bucket is not empty", "s3://" + bucket.str(),
                  "remove its objects, with all their versions, first")
          .with_code("BucketNotEmpty");
    }
    {
      Query found = context.database.query("SELECT id FROM uploads WHERE bucket = ?", row.id);
      while (found.step()) uploads.emplace_back(found.text(0));
    }
    for (const UploadId& upload : uploads) {
      announced.push_back(core_.journal.announce(upload_directory(upload)));
      delete_upload(context.database, upload);
    }
    delete_settings(context.database, row.id);
    context.database.execute("DELETE FROM buckets WHERE id = ?", row.id);
  });
  for (const UploadId& upload : uploads) core_.files.remove_tree(upload_directory(upload));
}

std::optional<store::BucketInfo> EmbeddedStore::head_bucket(const BucketName& bucket) {
  auto reader = core_.readers.borrow();
  const auto row = find_bucket(*reader, bucket);
  if (!row) return std::nullopt;
  return store::BucketInfo{row->name, row->region, row->created, store_id(*reader)};
}

std::vector<store::BucketInfo> EmbeddedStore::list_buckets() {
  auto reader = core_.readers.borrow();
  const std::string id = store_id(*reader);
  Query row = reader->query("SELECT name, region, created FROM buckets ORDER BY name");
  std::vector<store::BucketInfo> buckets;
  while (row.step())
    buckets.push_back({BucketName(row.text(0)), Region(row.text(1)), from_epoch_ms(row.integer(2)), id});
  return buckets;
}

void EmbeddedStore::set_versioning(const BucketName& bucket, store::Versioning versioning) {
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow row = require_bucket(context.database, bucket);
    // S3 knows no way back to "never".
    if (versioning == store::Versioning::never && row.versioning != store::Versioning::never) {
      throw Error(ErrorKind::invalid, "versioning can be suspended, but not undone", "s3://" + bucket.str())
          .with_code("IllegalVersioningConfigurationException");
    }
    context.database.execute("UPDATE buckets SET versioning = ? WHERE id = ?", static_cast<int>(versioning), row.id);
  });
}

store::Versioning EmbeddedStore::get_versioning(const BucketName& bucket) {
  return require_bucket(*core_.readers.borrow(), bucket).versioning;
}

void EmbeddedStore::set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) {
  check_rules(rules);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow row = require_bucket(context.database, bucket);
    for (const store::NotificationRule& rule : rules) {
      const auto queue = find_queue_id(context.database, row.region, queue_of(rule));
      if (!queue) {
        throw Error(ErrorKind::invalid, "Unable to validate the following destination configurations",
                    fmt::format("{} of s3://{}", rule.queue, bucket.str()),
                    fmt::format("the queue must exist in the bucket's region, {}", row.region.str()))
            .with_code("InvalidArgument");
      }
      insert_message(context, *queue, test_message(bucket, now()));
    }
    context.database.execute("UPDATE buckets SET rules = ? WHERE id = ?", rules_to_json(rules), row.id);
  });
}

std::vector<store::NotificationRule> EmbeddedStore::get_notifications(const BucketName& bucket) {
  return rules_from_json(require_bucket(*core_.readers.borrow(), bucket).rules);
}

void EmbeddedStore::check_target(const ObjectAddress& object, const store::WriteConditions& conditions) {
  check_object_key(object.key);
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow bucket = require_bucket(*reader, object.bucket);
  check_write_conditions(find_version(*reader, bucket, object.key), object, conditions);
}

store::PutResult EmbeddedStore::put(const ObjectAddress& object, store::Body& body,
                                    const store::ObjectAttributes& attributes,
                                    const store::WriteConditions& conditions) {
  store::check_upload_size(body.size());
  store::check_attributes(attributes);
  check_target(object, conditions);
  NewObjectFile file(core_, object);
  // Of each object one checksum is kept: the one that came with it, else S3's own.
  const auto told = body.digests().checksum;
  const StoredDigests digests =
      write_body(file.create(), 0, body, told ? told->algorithm : store::Checksum::Algorithm::crc64nvme);
  const ETag etag(to_hex_digest(digests.md5));
  const NewVersion version{file.id(), body.size(), etag, to_stored(attributes, digests.checksum), "ObjectCreated:Put"};
  const VersionChange change =
      file.publish([&](WriteContext& context) { return insert_version(context, object, version, conditions, now()); });
  return {etag, change.version};
}

std::unique_ptr<store::GetStream> EmbeddedStore::get(const ObjectAddress& object,
                                                     const std::optional<store::ByteRange>& range,
                                                     const store::ReadConditions& conditions) {
  OpenedObject opened = open_object(core_, object, conditions);
  store::Extent extent;
  try {
    extent = store::resolve_range(range, opened.row.size);
  } catch (const Error& error) {
    throw error.with_where(to_uri(object));
  }
  return store::checked(std::make_unique<FileGetStream>(to_info(opened.bucket, opened.row, now()), extent,
                                                        std::move(opened.file), object),
                        object);
}

std::optional<store::ObjectInfo> EmbeddedStore::head(const ObjectAddress& object,
                                                     const store::ReadConditions& conditions) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow bucket = require_bucket(*reader, object.bucket);
  const auto row = find_version(*reader, bucket, object.key, conditions.version_id);
  if (!row || row->marker) return std::nullopt;
  return to_info(bucket, require_object(*reader, bucket, object, conditions), now());
}

store::DeleteResult EmbeddedStore::remove(const ObjectAddress& object, const VersionId& version,
                                          const store::DeleteConditions& conditions) {
  check_object_key(object.key);
  store::check_remove(object, version, conditions);
  const FileId marker_id = core_.journal.new_file_id();
  const VersionChange change = change_versions(core_, object, [&](WriteContext& context) {
    return version.empty() ? delete_object(context, object, conditions, now(), marker_id)
                           : delete_version(context, object, version, now());
  });
  return {change.version, change.delete_marker};
}

std::vector<store::RemoveOutcome> EmbeddedStore::remove_all(const BucketName& bucket,
                                                            const std::vector<store::ObjectToRemove>& objects) {
  store::check_remove_all(objects);
  std::vector<FileId> marker_ids;
  for (const store::ObjectToRemove& object : objects) {
    check_object_key(object.key);
    store::check_remove({bucket, object.key}, object.version_id, object.conditions);
    marker_ids.push_back(core_.journal.new_file_id());
  }
  std::vector<store::RemoveOutcome> outcomes;
  commit_changes(core_, [&](WriteContext& context, DoomedFiles& doomed) {
    require_bucket(context.database, bucket);
    outcomes.assign(objects.size(), {});
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const ObjectAddress address{bucket, objects[i].key};
      const VersionId& version = objects[i].version_id;
      try {
        const VersionChange change = version.empty()
                                         ? delete_object(context, address, objects[i].conditions, now(), marker_ids[i])
                                         : delete_version(context, address, version, now());
        doomed.add(address, change.replaced);
        outcomes[i].result = {change.version, change.delete_marker};
      } catch (const Error& error) {
        // A condition is looked at before anything is changed; what else may fail undoes the whole transaction.
        if (error.kind() != ErrorKind::precondition && error.kind() != ErrorKind::not_found) throw;
        outcomes[i].error = error;
      }
    }
  });
  return outcomes;
}

store::PutResult EmbeddedStore::copy(const store::CopySource& from, const ObjectAddress& to,
                                     const std::optional<store::ObjectAttributes>& replace,
                                     const store::WriteConditions& conditions) {
  if (replace) store::check_attributes(*replace);
  check_target(to, conditions);
  store::check_copy(from, to, replace);
  const OpenedObject source = open_object(core_, from.address, {from.version_id, from.if_match});
  if (source.row.size > store::max_part_bytes) {
    throw refuse("InvalidRequest",
                 fmt::format("the object has {}; one copy takes {}", format_bytes(source.row.size),
                             format_bytes(store::max_part_bytes)),
                 from.address)
        .with_hint("copy it in parts");
  }
  StoredAttributes stored = replace ? to_stored(*replace, checksum_of(source.row.stored)) : source.row.stored;
  if (!replace) stored.storage_class = "STANDARD";
  NewObjectFile file(core_, to);
  file.create().copy_from(*source.file, 0, source.row.size, 0);
  // The copy has one part, whatever the source had: its tag is an MD5.
  const bool has_md5 = source.row.etag.str().find('-') == std::string::npos;
  const ETag etag = has_md5 ? source.row.etag
                            : ETag(to_hex_digest(read_digests(*source.file, {0, source.row.size}, std::nullopt).md5));
  const NewVersion version{file.id(), source.row.size, etag, std::move(stored), "ObjectCreated:Copy"};
  const VersionChange change =
      file.publish([&](WriteContext& context) { return insert_version(context, to, version, conditions, now()); });
  return {etag, change.version};
}

store::Tags EmbeddedStore::get_tags(const ObjectAddress& object, const VersionId& version) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow bucket = require_bucket(*reader, object.bucket);
  return tags_from_json(require_object(*reader, bucket, object, {version, {}}).stored.tags);
}

void EmbeddedStore::set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) {
  store::check_tags(tags);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow bucket = require_bucket(context.database, object.bucket);
    const VersionRow row = require_object(context.database, bucket, object, {version, {}});
    context.database.execute("UPDATE versions SET tags = ? WHERE id = ?", tags_to_json(tags), row.id);
  });
}

void EmbeddedStore::restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) {
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow bucket = require_bucket(context.database, object.bucket);
    const VersionRow row = require_object(context.database, bucket, object, {version, {}});
    check_restore(row, object, days, tier);
    context.database.execute("UPDATE versions SET restored_until = ? WHERE id = ?",
                             to_epoch_ms(restore_end(now(), days)), row.id);
  });
}

std::string EmbeddedStore::presign_get(const ObjectAddress& object, std::chrono::seconds) {
  throw Error(ErrorKind::unsupported, "there is no server that could answer a URL", to_uri(object),
              "read the object with 'bale s3 cp', or use an S3 endpoint");
}

}  // namespace bale::embedded
