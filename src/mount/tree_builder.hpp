// Catalog records in, a tree of directories and files out.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "archive/file_name.hpp"
#include "mount/tree.hpp"

namespace bale::mount {

/// Makes a Tree of catalog records, with the paths that archive::file_paths() gives their keys, in a temporary database
/// file, whose name is gone as soon as it is open: it takes disk space as long as the tree lives, however the process
/// ends. Used by one thread.
class TreeBuilder {
 public:
  /// The file is made in $TMPDIR, else in /tmp. `world` is borrowed for the call. Throws Error where it cannot be made.
  explicit TreeBuilder(const os::World& world);
  ~TreeBuilder();
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  /// Adds an object: by source bucket, then key, each once. Throws Error{invalid} for records in another order.
  void add(const catalog::Record& record);
  /// Objects so far.
  std::uint64_t objects() const noexcept { return totals_.objects; }
  /// The tree: the keys of the only source bucket, or one directory for each of several. Call once.
  std::unique_ptr<Tree> finish();

 private:
  /// A directory that is being filled, and what it will say of itself.
  struct Open {
    NodeId id;
    std::string name;
    std::uint64_t directories = 0;
    TimePoint modified{};
  };
  void begin_bucket(const BucketName& bucket);
  void end_bucket();
  std::int64_t number_of_archive(const catalog::Record& record);
  void add_object(NodeId id, const catalog::Record& record);
  void add_file(std::string_view path, NodeId id);
  void add_directory(std::string_view path, NodeId id);
  /// Opens the directories on the way to `path`, and closes the others. Returns its last component.
  std::string_view open_way_to(std::string_view path);
  void place_odd();
  void place(std::string_view path, NodeId id, bool is_directory);
  std::optional<NodeId> child_of(NodeId directory, std::string_view name);
  bool is_directory(NodeId id);
  archive::Taken taken_at(std::string_view path);
  NodeId make_directory(NodeId parent, std::string_view name);
  TimePoint modified_of(NodeId object);
  void add_node(NodeId parent, std::string_view name, NodeId id);
  void open_directory(std::string_view name);
  void close_directory();
  void commit_now_and_then();

  std::unique_ptr<sqlite::Database> database_;
  std::unique_ptr<sqlite::Transaction> transaction_;
  std::uint64_t uncommitted_ = 0;
  NodeId last_id_ = 1;
  TreeTotals totals_;
  BucketName bucket_;
  std::vector<NodeId> buckets_;  ///< their directories
  std::vector<Open> open_;       ///< from the directory of all buckets down to the one that is being filled
  archive::PathStream paths_;
  std::unordered_map<std::string, std::int64_t> archives_;
};

}  // namespace bale::mount
