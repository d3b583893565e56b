#include "mount/tree_builder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive/member_name.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::mount {
namespace {

// Rows between two commits: the write-ahead log stays small beside the database.
constexpr std::uint64_t rows_per_commit = 50'000;
// Of the database's pages. A directory of a million entries is listed in one pass, and a lookup needs few pages.
constexpr std::int64_t page_cache_kib = 16 << 10;

constexpr const char* schema = R"(
CREATE TABLE nodes (parent INTEGER NOT NULL, name BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (parent, name))
  WITHOUT ROWID;
CREATE TABLE directories (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, directories INTEGER NOT NULL,
  modified INTEGER NOT NULL);
CREATE TABLE archives (id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, buckets TEXT NOT NULL,
  source_bucket TEXT NOT NULL, source_prefix BLOB NOT NULL);
CREATE TABLE objects (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, key BLOB NOT NULL,
  archive INTEGER NOT NULL, frame_offset INTEGER, frame_length INTEGER, frame_skip INTEGER, sha256 TEXT NOT NULL,
  etag TEXT NOT NULL, version_id TEXT NOT NULL, storage_class TEXT NOT NULL, headers TEXT NOT NULL,
  metadata TEXT NOT NULL, tags TEXT NOT NULL);
CREATE TABLE odd (key BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
)";

/// A database file without a name.
std::unique_ptr<sqlite::Database> open_nameless(const os::World& world) {
  const os::fs::path directory = world.environment.get("TMPDIR").value_or("/tmp");
  const os::fs::path path = directory / fmt::format("bale-mount-{:016x}", world.entropy.next_u64());
  world.files.create_private(path);  // until it has lost its name
  auto database = std::make_unique<sqlite::Database>(path, sqlite::OpenOptions{.cache_kib = page_cache_kib});
  database->set_durability(sqlite::Database::Durability::process);
  database->run_script(schema);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    os::fs::path file = path;
    world.files.remove(file += suffix);
  }
  return database;
}

std::optional<std::int64_t> number(const std::optional<archive::MemberLocation>& location,
                                   ByteCount archive::MemberLocation::*member) {
  if (!location) return std::nullopt;
  return static_cast<std::int64_t>((*location).*member);
}

/// The size that names are chosen by where a record says none: an object with content becomes a file, never a
/// directory.
constexpr ByteCount any_content = 1;

// Of an escaped bucket name; with what stands around it, it stays below the 255 bytes that a file name may have.
constexpr std::size_t most_escaped_bytes = 200;

/// What the directory of the bucket with this number is called: its name. A catalog may name buckets that no service
/// would accept: they are escaped, and different ones stay different.
std::string directory_of(const BucketName& bucket, std::size_t number) {
  const std::string& name = bucket.str();
  const bool is_safe = archive::is_safe_path(name) && escape_for_terminal(name) == name &&
                       name.find('/') == std::string::npos && name.front() != '%';
  if (is_safe) return name;
  const std::string encoded = percent_encode(name);
  if (encoded.size() <= most_escaped_bytes) return fmt::format("%{}=", encoded);
  return fmt::format("%{}+{}", encoded.substr(0, most_escaped_bytes), number);
}

}  // namespace

TreeBuilder::TreeBuilder(const os::World& world)
    : database_(open_nameless(world)),
      transaction_(std::make_unique<sqlite::Transaction>(*database_)),
      paths_({.file = [this](std::string_view path, std::int64_t id) { add_file(path, id); },
              .directory = [this](std::string_view path, std::int64_t id) { add_directory(path, id); },
              .odd =
                  [this](std::string_view key, std::int64_t id) {
                    database_->execute("INSERT INTO odd (key, id) VALUES (?, ?)", sqlite::Blob{key}, id);
                  }}) {
  open_.push_back({++last_id_, {}});
}

TreeBuilder::~TreeBuilder() { transaction_.reset(); }

void TreeBuilder::add(const catalog::Record& record) {
  if (buckets_.empty() || record.source_bucket != bucket_) {
    if (!buckets_.empty() && record.source_bucket < bucket_)
      throw Error(ErrorKind::internal, "source buckets came out of their order", record.source_bucket.str());
    if (!buckets_.empty()) end_bucket();
    begin_bucket(record.source_bucket);
  }
  const NodeId id = ++last_id_;
  add_object(id, record);
  const std::string& key = record.object_path.str();
  paths_.add({key, archive::is_folder_marker(key, record.object_size.value_or(any_content))}, id);
  ++totals_.objects;
  totals_.bytes += record.object_size.value_or(0);
  commit_now_and_then();
}

std::unique_ptr<Tree> TreeBuilder::finish() {
  if (!buckets_.empty()) end_bucket();
  const NodeId top = open_.front().id;
  close_directory();
  const NodeId root = buckets_.size() == 1 ? buckets_.front() : top;
  database_->execute("UPDATE directories SET parent = id WHERE id = ?", root);
  transaction_->commit();
  transaction_.reset();
  if (root != top) totals_.directories -= 1;  // that of the only bucket is the root itself
  return std::make_unique<Tree>(std::move(database_), root, totals_);
}

void TreeBuilder::begin_bucket(const BucketName& bucket) {
  bucket_ = bucket;
  open_directory(directory_of(bucket, buckets_.size()));
  buckets_.push_back(open_.back().id);
}

void TreeBuilder::end_bucket() {
  paths_.finish();
  while (open_.size() > 2) close_directory();
  place_odd();
  close_directory();
}

std::int64_t TreeBuilder::number_of_archive(const catalog::Record& record) {
  const std::string buckets = catalog::buckets_to_json(record.target_buckets);
  const std::string name = fmt::format("{}\n{}\n{}\n{}\n{}", record.archive_bucket.str(), record.archive_key.str(),
                                       buckets, record.source_bucket.str(), record.source_prefix);
  const auto [found, is_new] = archives_.try_emplace(name, static_cast<std::int64_t>(archives_.size()) + 1);
  if (is_new) {
    database_->execute(
        "INSERT INTO archives (id, bucket, key, buckets, source_bucket, source_prefix) VALUES (?, ?, ?, ?, ?, ?)",
        found->second, record.archive_bucket.str(), sqlite::Blob{record.archive_key.str()}, buckets,
        record.source_bucket.str(), sqlite::Blob{record.source_prefix});
  }
  return found->second;
}

void TreeBuilder::add_object(NodeId id, const catalog::Record& record) {
  database_->execute(
      "INSERT INTO objects (id, size, modified, key, archive, frame_offset, frame_length, frame_skip, sha256, etag,"
      " version_id, storage_class, headers, metadata, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      id, record.object_size ? static_cast<std::int64_t>(*record.object_size) : -1, to_epoch_ms(record.last_modified),
      sqlite::Blob{record.object_path.str()}, number_of_archive(record),
      number(record.location, &archive::MemberLocation::frame_offset),
      number(record.location, &archive::MemberLocation::frame_length),
      number(record.location, &archive::MemberLocation::frame_skip), record.sha256, record.etag.str(),
      record.version_id.str(), record.storage_class, catalog::headers_to_json(record.headers),
      catalog::map_to_json(record.metadata), catalog::map_to_json(record.tags));
}

void TreeBuilder::add_file(std::string_view path, NodeId id) {
  const std::string_view name = open_way_to(path);
  add_node(open_.back().id, name, id);
  open_.back().modified = std::max(open_.back().modified, modified_of(id));
}

void TreeBuilder::add_directory(std::string_view path, NodeId id) {
  open_way_to(std::string(path) + "/");
  open_.back().modified = std::max(open_.back().modified, modified_of(id));
}

std::string_view TreeBuilder::open_way_to(std::string_view path) {
  std::size_t depth = 1;  // of the bucket's directory
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    const std::string_view name = path.substr(0, slash);
    ++depth;
    if (depth < open_.size() && open_[depth].name != name) {
      while (open_.size() > depth) close_directory();
    }
    if (depth == open_.size()) open_directory(name);
    path.remove_prefix(slash + 1);
  }
  while (open_.size() > depth + 1) close_directory();
  return path;
}

// ---- Keys that are not their own paths: placed when all others of the bucket are, whose directories are closed.

void TreeBuilder::place_odd() {
  {
    auto rows = database_->query("SELECT odd.key, odd.id, size FROM odd JOIN objects USING (id) ORDER BY odd.key");
    while (rows.step()) {
      const std::string_view key = rows.view(0);
      const bool is_directory = archive::is_folder_marker(key, static_cast<ByteCount>(rows.integer(2)));
      const std::string path =
          archive::place_of({key, is_directory}, [this](const std::string& each) { return taken_at(each); });
      place(path, rows.integer(1), is_directory);
    }
  }
  database_->execute("DELETE FROM odd");
}

void TreeBuilder::place(std::string_view path, NodeId id, bool is_directory) {
  const TimePoint modified = modified_of(id);
  NodeId directory = open_.back().id;
  open_.back().modified = std::max(open_.back().modified, modified);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (slash == std::string_view::npos && !is_directory) return add_node(directory, name, id);
    const auto there = child_of(directory, name);
    directory = there ? *there : make_directory(directory, name);
    database_->execute("UPDATE directories SET modified = MAX(modified, ?) WHERE id = ?", to_epoch_ms(modified),
                       directory);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
}

std::optional<NodeId> TreeBuilder::child_of(NodeId directory, std::string_view name) {
  auto row = database_->query("SELECT id FROM nodes WHERE parent = ? AND name = ?", directory, sqlite::Blob{name});
  return row.step() ? std::optional<NodeId>(row.integer(0)) : std::nullopt;
}

bool TreeBuilder::is_directory(NodeId id) {
  return database_->query("SELECT 1 FROM directories WHERE id = ?", id).step();
}

archive::Taken TreeBuilder::taken_at(std::string_view path) {
  NodeId at = open_.back().id;
  for (const std::string_view name : split(path, '/')) {
    const auto next = child_of(at, name);
    if (!next) return archive::Taken::nothing;
    at = *next;
  }
  return is_directory(at) ? archive::Taken::directory : archive::Taken::file;
}

NodeId TreeBuilder::make_directory(NodeId parent, std::string_view name) {
  const NodeId id = ++last_id_;
  add_node(parent, name, id);
  database_->execute("INSERT INTO directories (id, parent, directories, modified) VALUES (?, ?, 0, 0)", id, parent);
  ++totals_.directories;
  if (parent == open_.back().id)
    ++open_.back().directories;
  else
    database_->execute("UPDATE directories SET directories = directories + 1 WHERE id = ?", parent);
  return id;
}

TimePoint TreeBuilder::modified_of(NodeId object) {
  auto row = database_->query("SELECT modified FROM objects WHERE id = ?", object);
  return row.step() ? from_epoch_ms(row.integer(0)) : TimePoint{};
}

// ---- Rows

void TreeBuilder::add_node(NodeId parent, std::string_view name, NodeId id) {
  database_->execute("INSERT INTO nodes (parent, name, id) VALUES (?, ?, ?)", parent, sqlite::Blob{name}, id);
}

void TreeBuilder::open_directory(std::string_view name) {
  const NodeId id = ++last_id_;
  add_node(open_.back().id, name, id);
  ++open_.back().directories;
  ++totals_.directories;
  open_.push_back({id, std::string(name)});
}

void TreeBuilder::close_directory() {
  const Open closed = std::move(open_.back());
  open_.pop_back();
  const NodeId parent = open_.empty() ? closed.id : open_.back().id;
  if (!open_.empty()) open_.back().modified = std::max(open_.back().modified, closed.modified);
  database_->execute("INSERT INTO directories (id, parent, directories, modified) VALUES (?, ?, ?, ?)", closed.id,
                     parent, closed.directories, to_epoch_ms(closed.modified));
}

void TreeBuilder::commit_now_and_then() {
  if (++uncommitted_ % rows_per_commit != 0) return;
  transaction_->commit();
  transaction_.reset();
  transaction_ = std::make_unique<sqlite::Transaction>(*database_);
}

}  // namespace bale::mount
