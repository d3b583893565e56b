#include "mount/tree.hpp"

namespace bale::mount {
namespace {

/// Reads TreeBuilder's size of an object: absent where it is negative, which is a size that the catalog does not say.
std::optional<ByteCount> size_of(const sqlite::Query& row, int column) {
  const std::int64_t size = row.integer(column);
  return size < 0 ? std::nullopt : std::optional(static_cast<ByteCount>(size));
}

/// Reads a Node from the columns id, size, directories, parent, modified, the first of them `column`.
Node node_of(const sqlite::Query& row, int column) {
  Node node;
  node.id = row.integer(column);
  node.is_directory = row.is_null(column + 1);
  node.size = size_of(row, column + 1).value_or(0);
  node.directories = static_cast<std::uint64_t>(row.integer(column + 2));
  node.parent = row.integer(column + 3);
  node.modified = from_epoch_ms(row.integer(column + 4));
  return node;
}

std::optional<archive::MemberLocation> location_of(const sqlite::Query& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  const auto at = [&](int next) { return static_cast<ByteCount>(row.integer(column + next)); };
  return archive::MemberLocation{at(0), at(1), at(2)};
}

}  // namespace

std::optional<Node> Tree::find(NodeId directory, std::string_view name) {
  const Lock lock(mutex_);
  auto row = database_->query(
      "SELECT n.id, o.size, d.directories, d.parent, coalesce(o.modified, d.modified) FROM nodes n"
      " LEFT JOIN objects o ON o.id = n.id LEFT JOIN directories d ON d.id = n.id WHERE n.parent = ? AND n.name = ?",
      directory, sqlite::Blob{name});
  if (!row.step()) return std::nullopt;
  return node_of(row, 0);
}

std::optional<Node> Tree::node(NodeId id) {
  const Lock lock(mutex_);
  auto row = database_->query(
      "SELECT id, size, NULL, 0, modified FROM objects WHERE id = ?"
      " UNION ALL SELECT id, NULL, directories, parent, modified FROM directories WHERE id = ?",
      id, id);
  if (!row.step()) return std::nullopt;
  return node_of(row, 0);
}

std::vector<Entry> Tree::list(NodeId directory, std::string_view after, std::size_t most) {
  const Lock lock(mutex_);
  auto row = database_->query(
      "SELECT n.name, n.id, o.size, d.directories, d.parent, coalesce(o.modified, d.modified) FROM nodes n"
      " LEFT JOIN objects o ON o.id = n.id LEFT JOIN directories d ON d.id = n.id"
      " WHERE n.parent = ? AND n.name > ? ORDER BY n.name LIMIT ?",
      directory, sqlite::Blob{after}, most);
  std::vector<Entry> entries;
  while (row.step()) entries.push_back({row.text(0), node_of(row, 1)});
  return entries;
}

std::string Tree::name_at(NodeId directory, std::uint64_t number) {
  const Lock lock(mutex_);
  auto row =
      database_->query("SELECT name FROM nodes WHERE parent = ? ORDER BY name LIMIT 1 OFFSET ?", directory, number - 1);
  return row.step() ? row.text(0) : std::string();
}

std::optional<StoredObject> Tree::object(NodeId id) {
  const Lock lock(mutex_);
  auto row = database_->query(
      "SELECT o.size, o.modified, o.key, o.archive, o.sha256, o.etag, o.version_id, o.storage_class, o.headers,"
      " o.metadata, o.tags, a.bucket, a.key, a.buckets, a.source_bucket, a.source_prefix, o.frame_offset,"
      " o.frame_length, o.frame_skip FROM objects o JOIN archives a ON a.id = o.archive WHERE o.id = ?",
      id);
  if (!row.step()) return std::nullopt;
  StoredObject object{id, row.integer(3), {}};
  catalog::Record& record = object.record;
  record.object_size = size_of(row, 0);
  record.last_modified = from_epoch_ms(row.integer(1));
  record.object_path = ObjectKey(row.text(2));
  record.sha256 = row.text(4);
  record.etag = ETag(row.text(5));
  record.version_id = VersionId(row.text(6));
  record.storage_class = row.text(7);
  record.headers = catalog::headers_from_json(row.text(8));
  record.metadata = catalog::map_from_json(row.text(9));
  record.tags = catalog::map_from_json(row.text(10));
  record.archive_bucket = BucketName(row.text(11));
  record.archive_key = ObjectKey(row.text(12));
  record.target_buckets = catalog::buckets_from_json(row.text(13));
  record.source_bucket = BucketName(row.text(14));
  record.source_prefix = row.text(15);
  record.location = location_of(row, 16);
  return object;
}

}  // namespace bale::mount
