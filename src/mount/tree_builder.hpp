// Catalog records in, a tree of directories and files out.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mount/path_stream.hpp"
#include "mount/tree.hpp"

namespace bale::mount {

/// Makes a Tree of catalog records in a temporary database file, whose name is gone as soon as it is open: it takes
/// disk space as long as the tree lives, however the process ends. Used by one thread.
class TreeBuilder {
 public:
  /// The file is made in $TMPDIR, else in /tmp. `world` is borrowed for the call. Throws Error where it cannot be made.
  explicit TreeBuilder(const os::World& world);
  ~TreeBuilder();
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  /// Adds an object: by source bucket, then key, each once. Throws Error{internal} for records in another order.
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
  void keep_escaped(std::string_view path, NodeId id);
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
  PathStream paths_;
  std::unordered_map<std::string, std::int64_t> archives_;
};

}  // namespace bale::mount
