#include "catalog/index_file.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"
#include "catalog/sealed.hpp"

namespace bale::catalog {
namespace {

// In the file's header, so that it is known for what it is ("Bale").
constexpr int application_id = 0x42616c65;
constexpr int format_version = 3;
constexpr std::size_t block_granules = most_block_rows / granule_rows;

constexpr const char* schema = R"(
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, etag TEXT NOT NULL, rows INTEGER NOT NULL,
  first_block INTEGER NOT NULL, last_block INTEGER NOT NULL, damage TEXT NOT NULL, damage_kind TEXT NOT NULL,
  archive_key BLOB NOT NULL, buckets TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE INDEX damaged_files ON files (number) WHERE damage <> '';
CREATE TABLE blocks (id INTEGER PRIMARY KEY, rows INTEGER NOT NULL, has_gone INTEGER NOT NULL,
  checksum INTEGER NOT NULL);
-- id: column << 40 | block, so that one column of all blocks lies together
CREATE TABLE columns (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
-- id: segment << 16 | group of buckets
CREATE TABLE trigrams (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
)";

constexpr const char* drop_schema = R"(
DROP TABLE IF EXISTS notes;
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS blocks;
DROP TABLE IF EXISTS columns;
DROP TABLE IF EXISTS trigrams;
)";

// How many blocks, files and damaged files there are, so that lost rows are noticed: "blocks files damaged".
constexpr const char* note_totals = "totals";

std::int64_t column_id(StoredColumn column, std::int64_t block) {
  return static_cast<std::int64_t>(column) << 40 | block;
}

std::int64_t group_id(std::int64_t segment, std::size_t group) {
  return segment << 16 | static_cast<std::int64_t>(group);
}

Error damaged(const std::filesystem::path& path, const std::string& what) {
  return Error(ErrorKind::corrupt, "the local catalog index is damaged: " + what, path.native(), damage_hint);
}

/// The text that is greater than all texts with this prefix, for a range; "\xff" repeated is no key of S3.
std::string end_of(const std::string& prefix) { return prefix + "\xff"; }

std::int64_t number_of(sqlite::Query query) { return query.step() ? query.integer(0) : 0; }

std::int64_t checksum_of_block(std::int64_t id, std::int64_t rows, bool has_gone) {
  return checksum_of_row(fmt::format("{} {} {}", id, rows, has_gone));
}

std::int64_t checksum_of_note(const std::string& name, const std::string& value) {
  return checksum_of_row(fmt::format("{}={}", name, value));
}

std::int64_t checksum_of_file(const IndexedFile& file) {
  std::string values = fmt::format("{} {} {} {} {}", file.number, file.rows, file.first_block, file.last_block,
                                   to_string(file.damage_kind));
  for (const std::string& text : {file.key.str(), file.etag.str(), file.damage, file.archive_key.str()})
    values += fmt::format(" {} {}", text.size(), text);
  for (const BucketName& bucket : file.buckets) values += " " + bucket.str();
  return checksum_of_row(values);
}

/// The kinds that a file's damage is stored with; others are stored as `denied`, which like them says that the file
/// could not be read.
ErrorKind damage_kind_of(const std::string& text) {
  for (const ErrorKind kind : {ErrorKind::corrupt, ErrorKind::not_found, ErrorKind::invalid}) {
    if (text == to_string(kind)) return kind;
  }
  return ErrorKind::denied;
}

struct StoredTotals {
  std::uint64_t blocks = 0, files = 0, damaged = 0;
};

/// Parses what set_totals() writes. Returns nullopt for any other text.
std::optional<StoredTotals> parse_totals(const std::string& text) {
  StoredTotals totals;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint64_t* number : {&totals.blocks, &totals.files, &totals.damaged}) {
    if (at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, *number);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  return at == end ? std::optional(totals) : std::nullopt;
}

}  // namespace

PreparedBlock prepare_block(std::span<const IndexedRow> rows) {
  PreparedBlock block;
  block.rows = static_cast<std::uint32_t>(rows.size());
  block.columns = encode_rows(rows);
  TrigramSet set;
  for (std::size_t first = 0; first < rows.size(); first += granule_rows) {
    for (const IndexedRow& row : rows.subspan(first, std::min(granule_rows, rows.size() - first))) {
      set.add(row.record.object_path.str());
      set.add(row.record.object_name);
    }
    block.granules.push_back(set.take());
  }
  return block;
}

IndexFile::IndexFile(const std::filesystem::path& path, const std::string& catalog)
    : path_(path), database_(path, {.cache_kib = 64 << 10, .page_bytes = 16 << 10, .damage_hint = damage_hint}) {
  const std::int64_t version = number_of(database_.query("PRAGMA user_version"));
  if (version > format_version) {
    throw Error(ErrorKind::unsupported, "a newer version of Bale made this catalog index", path.native(),
                "use that version, or name another directory with --index");
  }
  if (version < format_version) make_schema(catalog);
  const std::string of = note("catalog");
  if (of != catalog) {
    throw Error(ErrorKind::invalid, fmt::format("this is the index of {}, not of {}", escape_for_terminal(of), catalog),
                path.native(), "name another directory with --index");
  }
}

void IndexFile::make_schema(const std::string& catalog) {
  sqlite::Transaction transaction(database_);
  // Another process may have made it meanwhile.
  const std::int64_t version = number_of(database_.query("PRAGMA user_version"));
  if (version >= format_version) return;
  if (version > 0) database_.run_script(drop_schema);
  if (number_of(database_.query("SELECT count(*) FROM sqlite_schema")) != 0) {
    throw Error(ErrorKind::invalid, "this file is no catalog index", path_.native(),
                "name another directory with --index");
  }
  database_.run_script(schema);
  database_.run_script(fmt::format("PRAGMA application_id={}", application_id).c_str());
  database_.run_script(fmt::format("PRAGMA user_version={}", format_version).c_str());
  set_note("catalog", catalog);
  set_totals();
  transaction.commit();
}

std::string IndexFile::note(const std::string& name) {
  auto row = database_.query("SELECT value, checksum FROM notes WHERE name = ?", name);
  if (!row.step()) return {};
  std::string value = row.text(0);
  if (row.integer(1) != checksum_of_note(name, value)) throw damaged(path_, "a note is not what was written");
  return value;
}

void IndexFile::set_note(const std::string& name, const std::string& value) {
  database_.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", name, value, checksum_of_note(name, value));
}

std::optional<TimePoint> IndexFile::time_note(const std::string& name) {
  const std::string text = note(name);
  if (text.empty()) return std::nullopt;
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc() || end != text.data() + text.size()) throw damaged(path_, "a note is no time");
  return from_epoch_ms(ms);
}

void IndexFile::set_totals() {
  std::string totals;
  {
    auto row = database_.query(
        "SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM files), "
        "(SELECT count(*) FROM files WHERE damage <> '')");
    row.step();
    totals = fmt::format("{} {} {}", row.integer(0), row.integer(1), row.integer(2));
  }
  set_note(note_totals, totals);
}

IndexedFile IndexFile::read_file(const sqlite::Query& row) {
  IndexedFile file;
  file.number = row.integer(0);
  file.key = ObjectKey(row.text(1));
  file.etag = ETag(row.text(2));
  file.rows = static_cast<std::uint64_t>(row.integer(3));
  file.first_block = row.integer(4);
  file.last_block = row.integer(5);
  file.damage = row.text(6);
  file.damage_kind = damage_kind_of(row.text(7));
  file.archive_key = ObjectKey(row.text(8));
  file.buckets = buckets_from_json(row.text(9));
  if (row.integer(10) != checksum_of_file(file)) throw damaged(path_, "a file's entry is not what was written");
  return file;
}

std::optional<IndexedFile> IndexFile::find_file(const ObjectKey& key) {
  auto row = database_.query("SELECT * FROM files WHERE key = ?", sqlite::Blob{key.str()});
  if (!row.step()) return std::nullopt;
  return read_file(row);
}

ObjectKey IndexFile::last_key(const std::string& prefix) {
  auto row = database_.query("SELECT max(key) FROM files WHERE key >= ? AND key < ?", sqlite::Blob{prefix},
                             sqlite::Blob{end_of(prefix)});
  return row.step() ? ObjectKey(row.text(0)) : ObjectKey();
}

std::int64_t IndexFile::last_file_number() { return number_of(database_.query("SELECT max(number) FROM files")); }

std::vector<IndexedFile> IndexFile::damaged_files() {
  std::vector<IndexedFile> files;
  const auto totals = parse_totals(note(note_totals));
  auto row = database_.query("SELECT * FROM files WHERE damage <> '' ORDER BY number");
  while (row.step()) files.push_back(read_file(row));
  if (totals && totals->damaged == files.size()) return files;
  // A sync may have committed between the two queries: the totals are then others now.
  const auto now = parse_totals(note(note_totals));
  if (!totals || !now || now->damaged == totals->damaged)
    throw damaged(path_, "the entry of a damaged file is missing");
  return files;
}

std::vector<IndexedFile> IndexFile::files_not_in(const std::vector<bool>& seen,
                                                 const std::function<bool(const std::string& key)>& is_listed) {
  std::vector<std::pair<std::int64_t, ObjectKey>> found;
  {
    auto row = database_.query("SELECT number, key FROM files");
    while (row.step()) {
      const auto number = static_cast<std::size_t>(row.integer(0));
      const bool is_seen = number < seen.size() && seen[number];
      if (!is_seen && is_listed(row.text(1))) found.emplace_back(row.integer(0), row.text(1));
    }
  }
  std::vector<IndexedFile> files;
  for (const auto& [number, key] : found) {
    auto file = find_file(key);
    if (!file || file->number != number) throw damaged(path_, "a file's entry is missing");
    files.push_back(std::move(*file));
  }
  return files;
}

std::uint64_t IndexFile::count_files() {
  return static_cast<std::uint64_t>(number_of(database_.query("SELECT count(*) FROM files")));
}

std::uint64_t IndexFile::count_rows() {
  return static_cast<std::uint64_t>(number_of(database_.query("SELECT sum(rows) FROM files")));
}

std::vector<BlockInfo> IndexFile::blocks() {
  std::vector<BlockInfo> blocks;
  std::optional<StoredTotals> totals;
  // One statement, so that all of it is of one state of the file.
  auto row = database_.query(
      "SELECT b.id, b.rows, b.has_gone, b.checksum, n.value FROM notes n LEFT JOIN blocks b WHERE n.name = ? "
      "ORDER BY b.id",
      note_totals);
  while (row.step()) {
    if (!totals) totals = parse_totals(row.text(4));
    if (row.is_null(0)) break;  // no blocks
    const std::int64_t id = row.integer(0), rows = row.integer(1);
    const bool has_gone = row.integer(2) != 0;
    const bool is_next = id == static_cast<std::int64_t>(blocks.size());
    const bool has_size = rows >= 1 && rows <= static_cast<std::int64_t>(most_block_rows);
    if (!is_next || !has_size || row.integer(3) != checksum_of_block(id, rows, has_gone))
      throw damaged(path_, "a block is not what was written");
    blocks.push_back({id, static_cast<std::uint32_t>(rows), has_gone});
  }
  if (!totals || totals->blocks != blocks.size()) throw damaged(path_, "blocks are missing");
  return blocks;
}

std::string IndexFile::column(std::int64_t block, StoredColumn column) {
  const std::int64_t id = column_id(column, block);
  auto row = database_.query("SELECT data FROM columns WHERE id = ?", id);
  if (!row.step()) throw damaged(path_, "a column is missing");
  const auto data = unseal(row.view(0), id);
  if (!data) throw damaged(path_, "a column is not what was written");
  return std::string(*data);
}

Granules IndexFile::granules_with(std::int64_t segment, const std::vector<TrigramBucket>& buckets) {
  Granules granules;
  granules.set();
  for (const TrigramBucket bucket : buckets) {
    const std::int64_t id = group_id(segment, bucket / bucket_group);
    auto row = database_.query("SELECT data FROM trigrams WHERE id = ?", id);
    if (!row.step()) throw damaged(path_, "trigrams are missing");
    const auto data = unseal(row.view(0), id);
    if (!data) throw damaged(path_, "trigrams are not what was written");
    if (data->empty()) return {};
    granules &= granules_of(*data, bucket);
    if (granules.none()) break;
  }
  return granules;
}

std::vector<IndexedRow> IndexFile::rows_of(const BlockInfo& block) {
  BlockReader reader(*this, block);
  std::vector<IndexedRow> rows;
  for (std::size_t i = 0; i < block.rows; ++i) {
    if (!reader.is_there(i)) continue;
    rows.push_back({reader.record(i), reader.numbers(StoredColumn::file).at(i),
                    std::string(reader.texts(StoredColumn::day).at(i))});
  }
  return rows;
}

// ---- BlockReader

const NumberColumn& BlockReader::numbers(StoredColumn column) {
  auto& decoded = numbers_[static_cast<std::size_t>(column)];
  if (!decoded) decoded = decode_numbers(index_.column(block_.id, column), block_.rows);
  return *decoded;
}

const TextColumn& BlockReader::texts(StoredColumn column) {
  auto& decoded = texts_[static_cast<std::size_t>(column)];
  if (!decoded) decoded = decode_texts(index_.column(block_.id, column), block_.rows);
  return *decoded;
}

bool BlockReader::names_are_derived() {
  if (!names_) names_ = index_.column(block_.id, StoredColumn::object_name);
  return is_derived(*names_);
}

std::string_view BlockReader::object_name(std::size_t row) {
  if (names_are_derived()) return basename(texts(StoredColumn::object_path).at(row));
  return texts(StoredColumn::object_name).at(row);
}

bool BlockReader::is_there(std::size_t row) { return !block_.has_gone || numbers(StoredColumn::file).at(row) != 0; }

Record BlockReader::record(std::size_t row) {
  using enum StoredColumn;
  const auto text = [&](StoredColumn column) { return std::string(texts(column).at(row)); };
  const auto bytes = [&](StoredColumn column) { return static_cast<ByteCount>(numbers(column).at(row)); };
  Record record;
  record.backup_file = text(backup_file);
  record.backup_time = from_epoch_ms(numbers(backup_time).at(row) * 1000);
  record.source_bucket = BucketName(text(source_bucket));
  record.source_prefix = text(source_prefix);
  record.object_name = this->object_name(row);
  record.object_path = ObjectKey(text(object_path));
  if (const std::int64_t size = numbers(object_size).at(row); size == unknown_size)
    record.object_size.reset();
  else
    record.object_size = static_cast<ByteCount>(size);
  record.last_modified = from_epoch_ms(numbers(last_modified).at(row));
  if (const std::int64_t ms = numbers(current_since).at(row); ms != 0) record.current_since = from_epoch_ms(ms);
  record.target_buckets = buckets_from_json(texts(target_buckets).at(row));
  record.source_region = Region(text(source_region));
  record.archive_bucket = BucketName(text(archive_bucket));
  record.archive_key = ObjectKey(text(archive_key));
  record.archive_etag = ETag(text(archive_etag));
  record.deleted = numbers(deleted).at(row) != 0;
  record.version_id = VersionId(text(version_id));
  record.sequencer = text(sequencer);
  record.etag = ETag(text(etag));
  record.sha256 = text(sha256);
  record.storage_class = text(storage_class);
  record.headers = headers_from_json(texts(headers).at(row));
  record.metadata = map_from_json(texts(metadata).at(row));
  record.tags = map_from_json(texts(tags).at(row));
  if (bytes(frame_length) > 0)
    record.location = archive::MemberLocation{bytes(frame_offset) - 1, bytes(frame_length) - 1, bytes(frame_skip) - 1};
  return record;
}

// ---- IndexWriter

IndexWriter::IndexWriter(IndexFile& index) : index_(index) {
  index_.database().set_durability(sqlite::Database::Durability::process);
  transaction_.emplace(index_.database());
  next_block_ = number_of(index_.database().query("SELECT max(id) + 1 FROM blocks"));
  load_segment();
}

/// The segment that is not full yet goes on being built.
void IndexWriter::load_segment() {
  segment_.clear();
  touched_groups_.reset();
  const std::int64_t segment = next_block_ / segment_blocks;
  if (next_block_ % segment_blocks == 0) return;  // nothing of it is there
  std::size_t groups = 0;
  auto row = index_.database().query("SELECT id, data FROM trigrams WHERE id >= ? AND id < ?", group_id(segment, 0),
                                     group_id(segment + 1, 0));
  for (; row.step(); ++groups) {
    const std::int64_t id = row.integer(0);
    const auto group = static_cast<std::size_t>(id & 0xffff);
    const auto data = unseal(row.view(1), id);
    if (group >= bucket_groups || !data) throw damaged(index_.path(), "trigrams are not what was written");
    if (!data->empty()) segment_.decode_group(group, *data);
  }
  if (groups != bucket_groups) throw damaged(index_.path(), "trigrams are missing");
}

void IndexWriter::write_segment() {
  const std::int64_t segment = (next_block_ - 1) / segment_blocks;
  for (std::size_t group = touched_groups_._Find_first(); group < bucket_groups;
       group = touched_groups_._Find_next(group)) {
    const std::int64_t id = group_id(segment, group);
    index_.database().execute("INSERT OR REPLACE INTO trigrams VALUES (?, ?)", id,
                              sqlite::Blob{seal(segment_.encode_group(group), id)});
  }
  touched_groups_.reset();
}

std::vector<IndexedRow> IndexWriter::reopen_last_block() {
  if (next_block_ == 0) return {};
  sqlite::Database& database = index_.database();
  std::optional<BlockInfo> last;
  {
    auto row = database.query("SELECT id, rows, has_gone FROM blocks WHERE id = ?", next_block_ - 1);
    if (row.step()) last = {row.integer(0), static_cast<std::uint32_t>(row.integer(1)), row.integer(2) != 0};
  }
  if (!last || last->rows >= most_block_rows / 2) return {};
  std::vector<IndexedRow> rows = index_.rows_of(*last);
  database.execute("DELETE FROM blocks WHERE id = ?", last->id);
  for (std::size_t i = 0; i < stored_columns; ++i)
    database.execute("DELETE FROM columns WHERE id = ?", column_id(static_cast<StoredColumn>(i), last->id));
  next_block_ = last->id;
  load_segment();
  segment_.cut(static_cast<std::size_t>(last->id % segment_blocks) * block_granules);
  touched_groups_.set();
  return rows;
}

std::int64_t IndexWriter::add(const PreparedBlock& block) {
  sqlite::Database& database = index_.database();
  const std::int64_t id = next_block_++;
  if (id % segment_blocks == 0) touched_groups_.set();  // each group of a segment is stored, also those without bits
  database.execute("INSERT INTO blocks VALUES (?, ?, 0, ?)", id, block.rows, checksum_of_block(id, block.rows, false));
  for (std::size_t i = 0; i < stored_columns; ++i) {
    const std::int64_t column = column_id(static_cast<StoredColumn>(i), id);
    database.execute("INSERT INTO columns VALUES (?, ?)", column, sqlite::Blob{seal(block.columns[i], column)});
  }
  const std::size_t first = static_cast<std::size_t>(id % segment_blocks) * block_granules;
  for (std::size_t granule = 0; granule < block.granules.size(); ++granule) {
    for (const TrigramBucket bucket : block.granules[granule]) {
      segment_.add(bucket, first + granule);
      touched_groups_.set(bucket / bucket_group);
    }
  }
  ++uncommitted_;
  if (next_block_ % segment_blocks == 0) {
    write_segment();
    segment_.clear();
  }
  return id;
}

void IndexWriter::add_file(const IndexedFile& file) {
  IndexedFile stored = file;
  stored.damage_kind = damage_kind_of(std::string(to_string(file.damage_kind)));
  index_.database().execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", file.number,
                            sqlite::Blob{file.key.str()}, file.etag.str(), file.rows, file.first_block, file.last_block,
                            file.damage, to_string(stored.damage_kind), sqlite::Blob{file.archive_key.str()},
                            buckets_to_json(file.buckets), checksum_of_file(stored));
}

/// The rows stay where they are, without a file: the trigrams of their neighbours stay true.
void IndexWriter::remove_file(const IndexedFile& file) {
  sqlite::Database& database = index_.database();
  for (std::int64_t id = file.first_block; id <= file.last_block; ++id) {
    std::uint32_t rows = 0;
    {
      auto row = database.query("SELECT rows FROM blocks WHERE id = ?", id);
      if (!row.step()) throw damaged(index_.path(), "a block is missing");
      rows = static_cast<std::uint32_t>(row.integer(0));
    }
    const NumberColumn files = decode_numbers(index_.column(id, StoredColumn::file), rows);
    std::vector<std::int64_t> left(rows);
    for (std::size_t i = 0; i < rows; ++i) left[i] = files.at(i) == file.number ? 0 : files.at(i);
    const std::int64_t column = column_id(StoredColumn::file, id);
    database.execute("UPDATE columns SET data = ? WHERE id = ?", sqlite::Blob{seal(encode_numbers(left), column)},
                     column);
    database.execute("UPDATE blocks SET has_gone = 1, checksum = ? WHERE id = ?", checksum_of_block(id, rows, true),
                     id);
  }
  database.execute("DELETE FROM files WHERE number = ?", file.number);
}

void IndexWriter::clear() {
  sqlite::Database& database = index_.database();
  for (const char* sql : {"DELETE FROM files", "DELETE FROM blocks", "DELETE FROM columns", "DELETE FROM trigrams",
                          "DELETE FROM notes WHERE name <> 'catalog'"})
    database.made_query(sql, {}).step();
  index_.set_totals();
  next_block_ = 0;
  segment_.clear();
  touched_groups_.reset();
}

void IndexWriter::commit() {
  if (uncommitted_ > 0 || touched_groups_.any()) write_segment();
  index_.set_totals();
  transaction_->commit();
  transaction_.emplace(index_.database());
  uncommitted_ = 0;
}

}  // namespace bale::catalog
