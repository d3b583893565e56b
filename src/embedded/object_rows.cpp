#include "embedded/object_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "embedded/message_queue.hpp"
#include "embedded/object_rules.hpp"
#include "store/checksum.hpp"
#include "store/object_rules.hpp"

namespace bale::embedded {
namespace {

using nlohmann::json;
using Algorithm = store::Checksum::Algorithm;
using store::Versioning;

const VersionId null_version("null");

/// Spelt out so that each query is one literal.
#define BALE_VERSION_COLUMNS \
  "id, version, latest, marker, file, size, etag, modified, class, attributes, tags, restored_until"

VersionRow read_version(const Query& row) {
  VersionRow version;
  version.id = row.integer(0);
  version.version = VersionId(row.text(1));
  version.latest = row.integer(2) != 0;
  version.marker = row.integer(3) != 0;
  version.file = FileId(row.text(4));
  version.size = static_cast<ByteCount>(row.integer(5));
  version.etag = ETag(row.text(6));
  version.modified = from_epoch_ms(row.integer(7));
  version.stored = {row.text(8), row.text(9), row.text(10)};
  if (!row.is_null(11)) version.restored_until = from_epoch_ms(row.integer(11));
  return version;
}

Error no_such_key(const ObjectAddress& object) {
  return Error(ErrorKind::not_found, "there is no such object", to_uri(object)).with_code("NoSuchKey");
}

/// The members of SystemHeaders with the names under which they are kept.
template <typename Headers, typename Visit>
void for_each_header(Headers& headers, const Visit& visit) {
  visit("content-type", headers.content_type);
  visit("cache-control", headers.cache_control);
  visit("content-disposition", headers.content_disposition);
  visit("content-encoding", headers.content_encoding);
  visit("content-language", headers.content_language);
  visit("expires", headers.expires);
  visit("website-redirect-location", headers.website_redirect);
}

json parse_kept(const StoredAttributes& stored) {
  return stored.attributes.empty() ? json::object() : json::parse(stored.attributes);
}

// Members of the kept attributes. An earlier Bale knows no other checksum than the first, as a number.
constexpr const char* crc64_member = "crc64nvme";
constexpr const char* checksum_member = "checksum";
constexpr const char* algorithm_member = "checksum_algorithm";  // of an upload

std::optional<Algorithm> algorithm_of(std::string_view name) {
  for (const Algorithm each :
       {Algorithm::crc64nvme, Algorithm::crc32c, Algorithm::crc32, Algorithm::sha256, Algorithm::sha1}) {
    if (store::to_string(each) == name) return each;
  }
  return std::nullopt;  // of a newer Bale
}

void keep_checksum(json& kept, const std::optional<store::Checksum>& checksum) {
  if (!checksum) return;
  if (checksum->algorithm == Algorithm::crc64nvme)
    kept[crc64_member] = std::stoull(to_hex(as_bytes(checksum->value)), nullptr, 16);
  else
    kept[checksum_member] = {{"algorithm", store::to_string(checksum->algorithm)},
                             {"value", to_hex(as_bytes(checksum->value))}};
}

std::optional<store::Checksum> checksum_of(const json& kept) {
  if (const auto found = kept.find(crc64_member); found != kept.end()) {
    return store::Checksum{Algorithm::crc64nvme, from_hex(fmt::format("{:016x}", found->get<std::uint64_t>()))};
  }
  const auto found = kept.find(checksum_member);
  if (found == kept.end()) return std::nullopt;
  const auto algorithm = algorithm_of(found->at("algorithm").get<std::string>());
  if (!algorithm) return std::nullopt;
  return store::Checksum{*algorithm, from_hex(found->at("value").get<std::string>())};
}

store::ObjectAttributes attributes_of(const StoredAttributes& stored, const json& kept) {
  store::ObjectAttributes attributes;
  attributes.storage_class = stored.storage_class;
  attributes.tags = tags_from_json(stored.tags);
  if (kept.empty()) return attributes;
  const json headers = kept.value("headers", json::object());
  for_each_header(attributes.headers,
                  [&](const char* name, std::string& value) { value = headers.value(name, std::string()); });
  attributes.metadata = kept.value("metadata", store::UserMetadata());
  attributes.kms_key_arn = kept.value("kms_key_arn", std::string());
  return attributes;
}

void delete_row(Database& database, const VersionRow& row, VersionChange& change) {
  database.execute("DELETE FROM versions WHERE id = ?", row.id);
  if (!row.marker) change.replaced.push_back(row.file);
}

void insert_row(Database& database, const BucketRow& bucket, const ObjectKey& key, const VersionRow& row) {
  database.execute(
      "INSERT INTO versions(bucket, key, " BALE_VERSION_COLUMNS ") VALUES(?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
      bucket.id, Blob{key.str()}, row.id, row.version.str(), row.marker, row.file.str(), row.size, row.etag.str(),
      to_epoch_ms(row.modified), row.stored.storage_class, row.stored.attributes, row.stored.tags);
}

/// Takes what `row` will replace out of the way: the version "null" where versioning is not enabled, and the place of
/// the latest. Last-Modified of a key never goes back, whatever the clock does.
VersionChange make_way(Database& database, const BucketRow& bucket, const ObjectKey& key,
                       const std::optional<VersionRow>& current, VersionRow& row) {
  VersionChange change;
  if (current) row.modified = std::max(row.modified, current->modified);
  if (bucket.versioning != Versioning::enabled) {
    row.version = null_version;
    if (const auto replaced = find_version(database, bucket, key, null_version))
      delete_row(database, *replaced, change);
  }
  if (current) database.execute("UPDATE versions SET latest = 0 WHERE id = ?", current->id);
  change.version = shown_version(bucket, row.version);
  return change;
}

void notify(WriteContext& context, const BucketRow& bucket, const ObjectEvent& event) {
  if (bucket.rules.empty()) return;
  for (const store::NotificationRule& rule : rules_from_json(bucket.rules)) {
    if (!matches(rule, event.name, event.object.key.str())) continue;
    // A queue that was destroyed after the rules were set gets nothing, as on S3.
    if (const auto queue = find_queue_id(context.database, bucket.region, queue_of(rule)))
      insert_message(context, *queue, event_message(event, rule));
  }
}

}  // namespace

std::optional<BucketRow> find_bucket(Database& database, const BucketName& bucket) {
  Query row = database.query("SELECT id, region, created, versioning, rules FROM buckets WHERE name = ?", bucket.str());
  if (!row.step()) return std::nullopt;
  return BucketRow{row.integer(0),
                   bucket,
                   Region(row.text(1)),
                   from_epoch_ms(row.integer(2)),
                   static_cast<Versioning>(row.integer(3)),
                   row.text(4)};
}

BucketRow require_bucket(Database& database, const BucketName& bucket) {
  if (auto row = find_bucket(database, bucket)) return *row;
  throw Error(ErrorKind::not_found, "there is no such bucket", "s3://" + bucket.str()).with_code("NoSuchBucket");
}

StoredAttributes to_stored(const store::ObjectAttributes& attributes, const std::optional<store::Checksum>& checksum) {
  json kept = json::object();
  for_each_header(attributes.headers, [&](const char* name, const std::string& value) {
    if (!value.empty()) kept["headers"][name] = value;
  });
  if (!attributes.metadata.empty()) kept["metadata"] = attributes.metadata;
  if (!attributes.kms_key_arn.empty()) kept["kms_key_arn"] = attributes.kms_key_arn;
  keep_checksum(kept, checksum);
  return {attributes.storage_class, kept.empty() ? std::string() : kept.dump(), tags_to_json(attributes.tags)};
}

StoredAttributes to_stored_upload(const store::ObjectAttributes& attributes) {
  StoredAttributes stored = to_stored(attributes);
  if (!attributes.checksum_algorithm) return stored;
  json kept = parse_kept(stored);
  kept[algorithm_member] = store::to_string(*attributes.checksum_algorithm);
  stored.attributes = kept.dump();
  return stored;
}

store::ObjectAttributes from_stored(const StoredAttributes& stored) {
  return attributes_of(stored, parse_kept(stored));
}

std::optional<store::Checksum> checksum_of(const StoredAttributes& stored) { return checksum_of(parse_kept(stored)); }

std::optional<Algorithm> checksum_algorithm_of(std::string_view attributes) {
  // Members are kept in the order of their names: nearly all objects have this one, as the first.
  if (attributes.starts_with("{\"crc64nvme\":")) return Algorithm::crc64nvme;
  if (attributes.find(checksum_member) == std::string_view::npos &&
      attributes.find(crc64_member) == std::string_view::npos)
    return std::nullopt;
  const auto checksum = checksum_of(json::parse(attributes));
  return checksum ? std::optional(checksum->algorithm) : std::nullopt;
}

void complete_attributes(StoredAttributes& stored, const std::optional<store::Checksum>& checksum,
                         ByteCount part_bytes) {
  json kept = parse_kept(stored);
  kept.erase(algorithm_member);
  keep_checksum(kept, checksum);
  if (part_bytes != 0) kept["part_bytes"] = part_bytes;
  stored.attributes = kept.empty() ? std::string() : kept.dump();
}

std::string tags_to_json(const store::Tags& tags) { return tags.empty() ? std::string() : json(tags).dump(); }

store::Tags tags_from_json(std::string_view text) {
  return text.empty() ? store::Tags() : json::parse(text).get<store::Tags>();
}

std::optional<VersionRow> find_version(Database& database, const BucketRow& bucket, const ObjectKey& key,
                                       const VersionId& version) {
  Query row =
      version.empty()
          ? database.query("SELECT " BALE_VERSION_COLUMNS " FROM versions WHERE bucket = ? AND key = ? AND latest = 1",
                           bucket.id, Blob{key.str()})
          : database.query("SELECT " BALE_VERSION_COLUMNS " FROM versions WHERE bucket = ? AND key = ? AND version = ?",
                           bucket.id, Blob{key.str()}, version.str());
  if (!row.step()) return std::nullopt;
  return read_version(row);
}

VersionRow require_object(Database& database, const BucketRow& bucket, const ObjectAddress& object,
                          const store::ReadConditions& conditions) {
  const auto row = find_version(database, bucket, object.key, conditions.version_id);
  if (!row && !conditions.version_id.empty()) {
    throw Error(ErrorKind::not_found, fmt::format("there is no version {}", conditions.version_id.str()),
                to_uri(object))
        .with_code("NoSuchVersion");
  }
  if (!row || row->marker) throw no_such_key(object);
  if (!conditions.if_match.empty() && conditions.if_match != row->etag) {
    throw Error(ErrorKind::precondition, "the object has changed: its ETag is another one", to_uri(object))
        .with_code("PreconditionFailed");
  }
  return *row;
}

void check_readable(const VersionRow& row, const ObjectAddress& object, TimePoint now) {
  if (!store::is_archive_class(row.stored.storage_class) || (row.restored_until && now < *row.restored_until)) return;
  throw Error(ErrorKind::denied, fmt::format("the object is archived ({})", row.stored.storage_class), to_uri(object),
              "restore it first")
      .with_code("InvalidObjectState");
}

VersionId shown_version(const BucketRow& bucket, const VersionId& version) {
  return bucket.versioning == Versioning::never ? VersionId() : version;
}

store::ObjectInfo to_info(const BucketRow& bucket, const VersionRow& row, TimePoint now) {
  const json kept = parse_kept(row.stored);
  store::ObjectAttributes attributes = attributes_of(row.stored, kept);
  store::ObjectInfo info;
  info.size = row.size;
  info.etag = row.etag;
  info.version_id = shown_version(bucket, row.version);
  info.last_modified = row.modified;
  info.headers = std::move(attributes.headers);
  info.metadata = std::move(attributes.metadata);
  info.tag_count = attributes.tags.size();
  info.storage_class = std::move(attributes.storage_class);
  info.kms_key_arn = std::move(attributes.kms_key_arn);
  if (row.restored_until && now < *row.restored_until) info.restore = restore_header(*row.restored_until);
  // A copy is one part, and yet has the attributes of what was uploaded in parts.
  if (row.etag.str().find('-') != std::string::npos) info.part_bytes = kept.value("part_bytes", ByteCount{0});
  info.checksum = checksum_of(kept);
  return info;
}

void check_write_conditions(const std::optional<VersionRow>& current, const ObjectAddress& object,
                            const store::WriteConditions& conditions) {
  const bool exists = current && !current->marker;
  store::check_write_conditions(exists ? std::optional(current->etag) : std::nullopt, object, conditions);
}

VersionChange insert_version(WriteContext& context, const ObjectAddress& object, const NewVersion& version,
                             const store::WriteConditions& conditions, TimePoint now) {
  const BucketRow bucket = require_bucket(context.database, object.bucket);
  const auto current = find_version(context.database, bucket, object.key);
  check_write_conditions(current, object, conditions);
  VersionRow row;
  row.id = context.next_sequence();
  row.version = VersionId(version.file.str());
  row.file = version.file;
  row.size = version.size;
  row.etag = version.etag;
  row.modified = now;
  row.stored = version.stored;
  VersionChange change = make_way(context.database, bucket, object.key, current, row);
  insert_row(context.database, bucket, object.key, row);
  notify(context, bucket,
         {version.event, object, bucket.region, row.modified, row.size, row.etag, change.version, row.id});
  return change;
}

VersionChange delete_object(WriteContext& context, const ObjectAddress& object,
                            const store::DeleteConditions& conditions, TimePoint now, const FileId& new_id) {
  const BucketRow bucket = require_bucket(context.database, object.bucket);
  const auto current = find_version(context.database, bucket, object.key);
  const bool exists = current && !current->marker;
  store::check_delete_conditions(exists ? std::optional(current->etag) : std::nullopt, object, conditions);
  VersionChange change;
  if (bucket.versioning == Versioning::never) {
    if (!current) return change;
    delete_row(context.database, *current, change);
    notify(context, bucket,
           {"ObjectRemoved:Delete", object, bucket.region, now, std::nullopt, {}, {}, context.next_sequence()});
    return change;
  }
  VersionRow row;
  row.id = context.next_sequence();
  row.version = VersionId(new_id.str());
  row.marker = true;
  row.modified = now;
  change = make_way(context.database, bucket, object.key, current, row);
  change.delete_marker = true;
  insert_row(context.database, bucket, object.key, row);
  notify(context, bucket,
         {"ObjectRemoved:DeleteMarkerCreated", object, bucket.region, now, std::nullopt, {}, change.version, row.id});
  return change;
}

VersionChange delete_version(WriteContext& context, const ObjectAddress& object, const VersionId& version,
                             TimePoint now) {
  const BucketRow bucket = require_bucket(context.database, object.bucket);
  const auto row = find_version(context.database, bucket, object.key, version);
  VersionChange change;
  change.version = version;
  if (!row) return change;
  change.delete_marker = row->marker;
  delete_row(context.database, *row, change);
  if (row->latest) {
    context.database.execute(
        "UPDATE versions SET latest = 1 WHERE id = "
        "(SELECT id FROM versions WHERE bucket = ? AND key = ? ORDER BY id DESC LIMIT 1)",
        bucket.id, Blob{object.key.str()});
  }
  notify(context, bucket,
         {"ObjectRemoved:Delete", object, bucket.region, now, std::nullopt, {}, version, context.next_sequence()});
  return change;
}

UploadRow require_upload(Database& database, const ObjectAddress& object, const UploadId& upload) {
  const BucketRow bucket = require_bucket(database, object.bucket);
  Query row =
      database.query("SELECT class, attributes, tags, slot_bytes FROM uploads WHERE id = ? AND bucket = ? AND key = ?",
                     upload.str(), bucket.id, Blob{object.key.str()});
  if (!row.step()) {
    throw Error(ErrorKind::not_found, "there is no such upload: it was completed or aborted", to_uri(object))
        .with_code("NoSuchUpload");
  }
  UploadRow found{{row.text(0), row.text(1), row.text(2)}, std::nullopt, std::nullopt};
  if (!row.is_null(3)) found.slot_bytes = row.integer(3);
  found.algorithm = algorithm_of(parse_kept(found.stored).value(algorithm_member, std::string()));
  return found;
}

std::vector<PartRow> find_parts(Database& database, const UploadId& upload, const std::optional<Algorithm>& algorithm) {
  Query row = database.query(
      "SELECT p.number, p.etag, p.size, p.file, c.checksum FROM parts p LEFT JOIN part_checksums c "
      "ON c.upload = p.upload AND c.number = p.number AND c.etag = p.etag WHERE p.upload = ? ORDER BY p.number",
      upload.str());
  std::vector<PartRow> parts;
  while (row.step()) {
    parts.push_back({static_cast<std::uint32_t>(row.integer(0)), ETag(row.text(1)),
                     static_cast<ByteCount>(row.integer(2)), row.text(3)});
    if (algorithm && !row.is_null(4)) parts.back().checksum = store::Checksum{*algorithm, row.text(4)};
  }
  return parts;
}

void insert_part(Database& database, const UploadId& upload, const PartRow& part) {
  database.execute("INSERT OR REPLACE INTO parts(upload, number, etag, size, file) VALUES(?, ?, ?, ?, ?)", upload.str(),
                   part.number, part.etag.str(), part.size, part.file);
  if (!part.checksum) return;  // the upload has no algorithm: there is no row of an earlier part either
  database.execute("INSERT OR REPLACE INTO part_checksums(upload, number, etag, checksum) VALUES(?, ?, ?, ?)",
                   upload.str(), part.number, part.etag.str(), Blob{part.checksum->value});
}

void delete_upload(Database& database, const UploadId& upload) {
  database.execute("DELETE FROM uploads WHERE id = ?", upload.str());
  database.execute("DELETE FROM parts WHERE upload = ?", upload.str());
  database.execute("DELETE FROM part_checksums WHERE upload = ?", upload.str());
  database.execute("DELETE FROM slots WHERE upload = ?", upload.str());
}

}  // namespace bale::embedded
