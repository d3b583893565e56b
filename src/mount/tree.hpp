// The directories and files that are shown, in a database file of their own. Memory does not depend on how many there
// are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.hpp"
#include "catalog/record.hpp"
#include "os/world.hpp"
#include "sqlite/database.hpp"

namespace bale::mount {

/// Number of a directory or file, the same as long as the tree lives; greater than 1.
using NodeId = std::int64_t;

/// What a listing shows of a directory or file.
struct Node {
  NodeId id = 0;
  bool is_directory = false;
  ByteCount size = 0;             ///< bytes; 0 for a directory, and for an object whose size the catalog does not say
  TimePoint modified{};           ///< of the object; of a directory, that of the newest object anywhere below
  std::uint64_t directories = 0;  ///< directories directly below
  NodeId parent = 0;              ///< of a directory; the root is its own
};

/// A node with its name.
struct Entry {
  std::string name;
  Node node;
};

/// An object as a file: its catalog row, as far as reading and describing it take it.
struct StoredObject {
  NodeId id = 0;
  std::int64_t archive = 0;  ///< the same number for objects of the same archive, within one tree
  catalog::Record record;
};

/// How much is shown.
struct TreeTotals {
  std::uint64_t objects = 0, directories = 0;
  ByteCount bytes = 0;  ///< sum of the objects' sizes, as far as the catalog says them
};

/// A finished tree; TreeBuilder makes it. Thread-safe. Its functions throw Error (unavailable, corrupt) when the
/// database file cannot be read.
class Tree {
 public:
  /// `root`: the directory that everything is in. The database is one that TreeBuilder filled.
  Tree(std::unique_ptr<sqlite::Database> database, NodeId root, TreeTotals totals)
      : database_(std::move(database)), root_(root), totals_(totals) {}

  NodeId root() const noexcept { return root_; }
  const TreeTotals& totals() const noexcept { return totals_; }
  /// Absent where the directory has no such name.
  std::optional<Node> find(NodeId directory, std::string_view name);
  /// Absent where there is no such node.
  std::optional<Node> node(NodeId id);
  /// The entries of a directory whose names are greater than `after`, in bytewise order, at most `most`.
  std::vector<Entry> list(NodeId directory, std::string_view after, std::size_t most);
  /// The name of entry `number` (from 1) of a directory in that order; empty where it has fewer.
  std::string name_at(NodeId directory, std::uint64_t number);
  /// Absent where the node is no file.
  std::optional<StoredObject> object(NodeId id);

 private:
  Mutex mutex_;
  const std::unique_ptr<sqlite::Database> database_ BALE_GUARDED_BY(mutex_);
  const NodeId root_;
  const TreeTotals totals_;
};

}  // namespace bale::mount
