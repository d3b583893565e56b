#include "jobs/bucket/restore_journal.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

using sqlite::Blob;

constexpr const char* schema = R"(
  CREATE TABLE IF NOT EXISTS about(name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS copied(name BLOB PRIMARY KEY, source_etag TEXT NOT NULL, source_version TEXT NOT NULL,
    size INTEGER NOT NULL, source_modified INTEGER NOT NULL, copy_etag TEXT NOT NULL, origin INTEGER NOT NULL,
    noted INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS requested(name BLOB NOT NULL, version TEXT NOT NULL, at INTEGER NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY(name, version)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS waiting(name BLOB PRIMARY KEY, version TEXT NOT NULL, after_key BLOB NOT NULL,
    there TEXT NOT NULL)
    WITHOUT ROWID;
)";

sqlite::OpenOptions open_options() {
  sqlite::OpenOptions options;
  options.cache_kib = 4 << 10;
  options.damage_hint = "remove the journal: the next run finds out again what is there";
  return options;
}

std::unique_ptr<sqlite::Database> open_database(const os::fs::path& file) {
  auto database = std::make_unique<sqlite::Database>(file, open_options());
  database->set_durability(sqlite::Database::Durability::process);
  return database;
}

/// The copies that were noted, on a connection of its own: what is noted meanwhile does not disturb it.
class NotedCopies final : public EntrySequence {
 public:
  explicit NotedCopies(const os::fs::path& file)
      : database_(file, open_options()),
        snapshot_(database_),
        rows_(
            database_.query("SELECT name, source_etag, source_version, size, source_modified, copy_etag, origin, noted "
                            "FROM copied ORDER BY name")) {}

  const JournalEntry* next() override {
    if (!rows_.step()) return nullptr;
    entry_.name = rows_.text(0);
    entry_.source_etag = ETag(rows_.text(1));
    entry_.source_version = VersionId(rows_.text(2));
    entry_.size = static_cast<ByteCount>(rows_.integer(3));
    entry_.source_modified = from_epoch_ms(rows_.integer(4));
    entry_.copy_etag = ETag(rows_.text(5));
    entry_.origin = static_cast<Origin>(rows_.integer(6));
    entry_.noted = from_epoch_ms(rows_.integer(7));
    return &entry_;
  }

 private:
  sqlite::Database database_;
  sqlite::Snapshot snapshot_;
  sqlite::Query rows_;
  JournalEntry entry_;
};

std::string about(sqlite::Database& database, const char* name) {
  auto row = database.query("SELECT value FROM about WHERE name = ?", name);
  return row.step() ? row.text(0) : std::string();
}

std::uint64_t number_of(sqlite::Query query) { return query.step() ? static_cast<std::uint64_t>(query.integer(0)) : 0; }

}  // namespace

RestoreJournal::RestoreJournal(os::Files& files, const os::fs::path& file, const std::string& identity) : file_(file) {
  if (file.has_parent_path()) files.make_directories(file.parent_path());
  const Lock lock(mutex_);
  database_ = open_database(file);
  database_->run_script(schema);
  const std::string known = about(*database_, "identity");
  if (!known.empty() && known != identity) {
    throw Error(ErrorKind::invalid, fmt::format("the journal is of another restore: {}", escape_for_terminal(known)),
                escape_name(file.native()), "name another file with --journal");
  }
  database_->execute("INSERT OR REPLACE INTO about VALUES('identity', ?)", identity);
}

bool RestoreJournal::has_begun() {
  const Lock lock(mutex_);
  return !about(*database_, "begun").empty();
}

void RestoreJournal::begin() {
  const Lock lock(mutex_);
  database_->execute("INSERT OR REPLACE INTO about VALUES('begun', 'yes')");
}

void RestoreJournal::note_copied(const JournalEntry& entry) {
  const Lock lock(mutex_);
  database_->execute("INSERT OR REPLACE INTO copied VALUES(?, ?, ?, ?, ?, ?, ?, ?)", Blob{entry.name},
                     entry.source_etag.str(), entry.source_version.str(), entry.size,
                     to_epoch_ms(entry.source_modified), entry.copy_etag.str(), static_cast<int>(entry.origin),
                     to_epoch_ms(entry.noted));
}

std::unique_ptr<EntrySequence> RestoreJournal::copies() { return std::make_unique<NotedCopies>(file_); }

bool RestoreJournal::note_requested(const std::string& name, const VersionId& version, TimePoint now) {
  const Lock lock(mutex_);
  const bool was_there =
      database_->query("SELECT 1 FROM requested WHERE name = ? AND version = ?", Blob{name}, version.str()).step();
  database_->execute(
      "INSERT INTO requested VALUES(?, ?, ?, 1) ON CONFLICT(name, version) DO UPDATE SET at = excluded.at, times = "
      "times + 1",
      Blob{name}, version.str(), to_epoch_ms(now));
  return was_there;
}

std::uint64_t RestoreJournal::requested() {
  const Lock lock(mutex_);
  return number_of(database_->query("SELECT count(*) FROM requested"));
}

void RestoreJournal::await(const WaitingObject& object) {
  const Lock lock(mutex_);
  database_->execute("INSERT OR REPLACE INTO waiting VALUES(?, ?, ?, ?)", Blob{object.name}, object.version.str(),
                     Blob{object.after_key}, object.there.str());
}

void RestoreJournal::end_wait(const std::string& name) {
  const Lock lock(mutex_);
  database_->execute("DELETE FROM waiting WHERE name = ?", Blob{name});
}

void RestoreJournal::forget_waiting() {
  const Lock lock(mutex_);
  database_->execute("DELETE FROM waiting");
}

std::uint64_t RestoreJournal::waiting() {
  const Lock lock(mutex_);
  return number_of(database_->query("SELECT count(*) FROM waiting"));
}

std::vector<WaitingObject> RestoreJournal::waiting_after(const std::optional<std::string>& after, std::size_t most) {
  const Lock lock(mutex_);
  std::vector<WaitingObject> objects;
  // An object may have the empty name: that of its side's prefix itself.
  auto rows = database_->query(
      "SELECT name, version, after_key, there FROM waiting WHERE name > ? OR ? = 1 ORDER BY name LIMIT ?",
      Blob{after ? std::string_view(*after) : std::string_view()}, after ? 0 : 1, most);
  while (rows.step()) objects.push_back({rows.text(0), VersionId(rows.text(1)), rows.text(2), ETag(rows.text(3))});
  return objects;
}

}  // namespace bale::bucket
