#include "embedded/schema.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace bale::embedded {
namespace {

constexpr std::int64_t schema_version = 1;

/// Keys are BLOBs, because SQLite orders those bytewise, whatever they hold. Times are milliseconds since 1970.
constexpr const char* schema = R"sql(
-- One number for everything that must be ordered: versions, sequencers of events, messages, receipts.
CREATE TABLE counter(value INTEGER NOT NULL);
INSERT INTO counter VALUES(0);

CREATE TABLE buckets(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  region TEXT NOT NULL,
  created INTEGER NOT NULL,
  versioning INTEGER NOT NULL DEFAULT 0,  -- store::Versioning
  rules TEXT NOT NULL DEFAULT '');        -- notification rules as JSON; empty: none

-- Versions of objects and delete markers; id is the order in which they were made.
CREATE TABLE versions(
  id INTEGER PRIMARY KEY,
  bucket INTEGER NOT NULL,
  key BLOB NOT NULL,
  version TEXT NOT NULL,            -- 'null' where it was written without versioning
  latest INTEGER NOT NULL,
  marker INTEGER NOT NULL,          -- 1: a delete marker, without a file
  file TEXT NOT NULL,               -- unique part of the file's name
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified INTEGER NOT NULL,
  class TEXT NOT NULL,
  attributes TEXT NOT NULL,         -- system headers, metadata, encryption key, size of the parts: JSON, or empty
  tags TEXT NOT NULL,               -- as JSON; empty: none
  restored_until INTEGER);
CREATE INDEX versions_by_key ON versions(bucket, key, id DESC);
CREATE UNIQUE INDEX latest_versions ON versions(bucket, key) WHERE latest = 1;
CREATE INDEX current_objects ON versions(bucket, key) WHERE latest = 1 AND marker = 0;

CREATE TABLE uploads(
  id TEXT PRIMARY KEY,
  bucket INTEGER NOT NULL,
  key BLOB NOT NULL,
  initiated INTEGER NOT NULL,
  class TEXT NOT NULL,
  attributes TEXT NOT NULL,
  tags TEXT NOT NULL,
  slot_bytes INTEGER) WITHOUT ROWID;  -- size of every part's place in the shared file; NULL until it is known
CREATE INDEX uploads_by_key ON uploads(bucket, key, id);
-- Places in the shared file that somebody has written or is writing: never written again.
CREATE TABLE slots(
  upload TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(upload, number)) WITHOUT ROWID;
CREATE TABLE parts(
  upload TEXT NOT NULL, number INTEGER NOT NULL,
  etag TEXT NOT NULL,
  size INTEGER NOT NULL,
  file TEXT NOT NULL,               -- empty: in its slot of the shared file
  PRIMARY KEY(upload, number)) WITHOUT ROWID;

CREATE TABLE queues(
  id INTEGER PRIMARY KEY,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  visibility_ms INTEGER NOT NULL,
  retention_ms INTEGER NOT NULL,
  dead_letter TEXT NOT NULL,
  max_receive_count INTEGER NOT NULL,
  UNIQUE(region, name));
CREATE TABLE messages(
  id INTEGER PRIMARY KEY,
  queue INTEGER NOT NULL,
  body BLOB NOT NULL,
  sent INTEGER NOT NULL,
  visible_at INTEGER NOT NULL,
  receive_count INTEGER NOT NULL DEFAULT 0,
  receipt INTEGER NOT NULL DEFAULT 0);  -- of the newest receive; 0: never received
CREATE INDEX messages_by_time ON messages(queue, visible_at);
CREATE INDEX messages_by_age ON messages(queue, sent);

CREATE TABLE tables(
  id INTEGER PRIMARY KEY,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  partition_name TEXT NOT NULL,
  partition_type INTEGER NOT NULL,  -- records::KeyType
  sort_name TEXT,
  sort_type INTEGER,
  UNIQUE(region, name));
-- Keys in an encoding whose bytewise order is the order of the values.
CREATE TABLE items(
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,           -- tables.id
  hash INTEGER NOT NULL,            -- of the partition key: segments of a scan are ranges of it
  partition BLOB NOT NULL,
  sort BLOB NOT NULL,
  item TEXT NOT NULL);              -- DynamoDB's JSON
CREATE UNIQUE INDEX items_by_key ON items(owner, hash, partition, sort);
)sql";

/// Added to stores of all versions; an older Bale leaves it alone. One row: the time of the store, how far it is ahead
/// of the steady clock in that run of the machine, and what the wall clock showed then. See StoreClock.
constexpr const char* store_clock =
    "CREATE TABLE IF NOT EXISTS store_clock(boot TEXT, ahead INTEGER, time INTEGER, "
    "wall INTEGER)";

/// Added to stores of all versions too. One row: a random name that the store keeps, so that a store that is made anew
/// at the same path is another one.
constexpr const char* store_identity = "CREATE TABLE IF NOT EXISTS store_identity(id TEXT NOT NULL)";

/// Added to stores of all versions too: the settings of buckets as JSON. `created` is that of the bucket.
constexpr const char* bucket_settings =
    "CREATE TABLE IF NOT EXISTS bucket_settings(bucket INTEGER PRIMARY KEY, created INTEGER NOT NULL, "
    "settings TEXT NOT NULL)";

/// Added to stores of all versions too: the checksums of parts whose uploads were begun with an algorithm. An earlier
/// Bale replaces a part and not its checksum: a row counts for the part with its ETag only.
constexpr const char* part_checksums =
    "CREATE TABLE IF NOT EXISTS part_checksums(upload TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, "
    "checksum BLOB NOT NULL, PRIMARY KEY(upload, number)) WITHOUT ROWID";

bool has_table(Database& database, const char* name) {
  return database.query("SELECT 1 FROM sqlite_master WHERE name = ?", name).step();
}

std::int64_t version_of(Database& database) {
  Query version = database.query("PRAGMA user_version");
  version.step();
  return version.integer(0);
}

}  // namespace

void prepare_schema(Database& database, const std::string& new_identity) {
  const bool has_added_tables = has_table(database, "store_clock") && has_table(database, "store_identity") &&
                                has_table(database, "bucket_settings") && has_table(database, "part_checksums");
  if (version_of(database) == schema_version && has_added_tables) return;
  Transaction transaction(database);
  const std::int64_t found = version_of(database);  // again: another process may have been first
  if (found > schema_version) {
    throw Error(ErrorKind::unsupported,
                fmt::format("the directory has format {}; this is format {}", found, schema_version), {},
                "use the version of Bale that wrote it, or a newer one");
  }
  if (found == 0) {
    database.run_script(schema);
    database.run_script("PRAGMA user_version=1");
  }
  database.run_script(store_clock);
  database.run_script(store_identity);
  database.run_script(bucket_settings);
  database.run_script(part_checksums);
  if (!database.query("SELECT 1 FROM store_identity").step())
    database.execute("INSERT INTO store_identity(id) VALUES(?)", new_identity);
  transaction.commit();
}

}  // namespace bale::embedded
