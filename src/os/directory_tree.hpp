// Files below one directory, written by names that come from elsewhere: keys of objects, members of archives.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/mutex.hpp"
#include "os/directory.hpp"

namespace bale::os {

/// When what is written below a DirectoryTree becomes durable.
enum class Durability {
  each_file,  ///< with commit()
  together,   ///< with DirectoryTree::sync(): much cheaper for many small files
};

/// The directory that a DirectoryTree is of.
struct TreeRoot {
  /// The directory at `place` when it is first needed.
  TreeRoot(fs::path place) : path(std::move(place)) {}  // NOLINT(google-explicit-constructor): a path is a root
  fs::path path;
  std::shared_ptr<Directory> opened{};  ///< null: the directory at `path` when it is first needed
  bool was_missing = false;             ///< then a symbolic link that has taken the name since is not followed
};

/// Opens the directory at `path`, or notes that there is none: for the time between the begin of a command and its
/// first file. Links are followed: the user named the path. `files` is borrowed. Throws no Error: what is to be
/// written there says what is wrong.
TreeRoot open_tree_root(Files& files, const fs::path& path);

class DirectoryTree;

/// A new file below a DirectoryTree: an AtomicFile whose directory is still in its place when the file gets its name.
/// Not thread-safe, as AtomicFile.
class TreeFile {
 public:
  AtomicFile& atomic() noexcept { return file_; }
  WritableFile& file() noexcept { return file_.file(); }
  /// Gives the file its name and the modification time. Throws, leaving nothing behind, as AtomicFile::commit() does;
  /// Error{precondition} when the file's directory, or the root, was moved away or replaced, Error{denied} when the
  /// directory was by a symbolic link.
  void commit(TimePoint modified);

 private:
  friend class DirectoryTree;
  TreeFile(DirectoryTree& tree, std::string parent, std::shared_ptr<Directory> directory, std::string name,
           Existing existing, std::optional<std::uint32_t> mode)
      : tree_(tree), parent_(std::move(parent)), file_(std::move(directory), std::move(name), existing, mode) {}
  DirectoryTree& tree_;
  const std::string parent_;
  AtomicFile file_;
};

/// The files below a directory. A `name` is relative, with '/' between its components, of which none is empty, "." or
/// "..". Nothing outside of the directory is read, written or removed, even while somebody else puts symbolic links in
/// the place of directories: every name is looked up from the descriptor of the directory, without following links
/// (openat2, else one openat for each component). The directory itself may be reached through links: the user named it.
/// It stays the one that was opened: when it is moved away, or something else gets its name, files fail. Holds one
/// descriptor, and one more for each TreeFile. Thread-safe.
class DirectoryTree {
 public:
  /// `root` need not exist; it is opened or made, with its parents, when it is first needed. `files` is borrowed.
  DirectoryTree(Files& files, TreeRoot root, Durability durability);

  /// The path that the name leads to, for messages.
  fs::path path_of(const std::string& name) const { return root_path_ / name; }
  /// Describes what has the name; the root for an empty name. Absent when nothing has it. Throws Error{denied} for a
  /// symbolic link on the way to it (one that has the name itself is described), Error{precondition} for a file on the
  /// way.
  std::optional<FileInfo> info(const std::string& name);
  /// Returns when what has the name last changed or got a name, as Directory::changed(). Throws as info() does.
  std::optional<TimePoint> changed(const std::string& name);
  /// Absent when nothing has the name. Throws as info() does; Error{denied} for a symbolic link too.
  std::unique_ptr<ReadableFile> open_if_exists(const std::string& name);
  /// Returns the names of what is directly in the root; empty while there is no root.
  std::set<std::string> top_names();
  /// Makes a directory and its parents where missing; the root for an empty name. Throws as info() does.
  void make_directories(const std::string& name);
  /// Starts a new file, making its directory where missing; `mode` as of AtomicFile. Throws as make_directories() and
  /// AtomicFile do.
  std::unique_ptr<TreeFile> create(const std::string& name, Existing existing,
                                   std::optional<std::uint32_t> mode = std::nullopt);
  /// Makes durable what was written, where commit() did not.
  void sync();

 private:
  friend class TreeFile;
  /// Null while there is no root.
  std::shared_ptr<Directory> root();
  std::shared_ptr<Directory> make_root();
  /// Null when the directory is missing.
  std::shared_ptr<Directory> open(const std::string& directory);
  std::shared_ptr<Directory> make(const std::string& directory);
  void require_in_place(const std::string& directory, Directory& opened);
  void require_root_in_place();
  void require_no_link();

  Files& files_;
  const fs::path root_path_;
  const bool was_missing_;
  const Durability durability_;
  std::atomic<bool> is_changed_{false};
  Mutex mutex_;
  std::shared_ptr<Directory> root_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::os
