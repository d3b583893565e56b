// Whole objects out of an archive, each verified before its receiver may keep it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/reader.hpp"
#include "os/directory_tree.hpp"

namespace bale::archive {

/// Takes the bytes of one object. Its calls come one after the other, on any thread.
class ObjectReceiver {
 public:
  virtual ~ObjectReceiver() = default;
  virtual void write(ByteView bytes) = 0;
  /// All bytes were written, and their size and SHA-256 (where it has one) are those of the manifest. A receiver that
  /// is destroyed without this call keeps nothing.
  virtual void finish() = 0;
};

/// What became of an archive's objects.
struct Delivery {
  std::map<std::size_t, Error> failures;  ///< by index into the manifest
  std::size_t delivered = 0;
  std::size_t unverifiable = 0;  ///< of the delivered: the manifest has no SHA-256 to compare with
  ByteCount bytes = 0;
};

/// Reads `objects` (empty: all) and hands each to a receiver that `make` returns for it; objects are delivered side by
/// side on pools.connections. A damaged object, and one whose receiver throws denied, precondition, invalid or
/// corrupt, is a failure of that object; anything else that is thrown ends the delivery. All references are borrowed
/// for the call; `progress` may be null.
Delivery deliver_objects(Reader& reader, const std::vector<std::size_t>& objects,
                         const std::function<std::unique_ptr<ObjectReceiver>(std::size_t object)>& make,
                         flow::Pools pools, flow::MemoryBudget& budget, const std::stop_token& stop,
                         flow::Progress* progress = nullptr);

/// An object that a FileExtractor writes, where it is known by its key.
struct ExtractedKey {
  std::string_view key;
  ByteCount size = 0;
};

/// Writes objects as files below a directory, each under the path that file_paths() gives its relative key, through an
/// os::DirectoryTree: nothing outside of the directory is touched, whatever others do to it meanwhile. Folder markers
/// become directories; pages of zeros become holes. Thread-safe.
class FileExtractor {
 public:
  /// The directory is made with its parents where missing, when the first file is begun. `files` is borrowed.
  FileExtractor(os::Files& files, os::TreeRoot directory, const ObjectList& objects);
  /// The same for objects that are known by their keys alone. Throws Error{invalid} when a key comes twice.
  FileExtractor(os::Files& files, os::TreeRoot directory, const std::vector<ExtractedKey>& keys);
  /// Returns the path that the object is written to.
  os::fs::path path_of(std::size_t object) const { return tree_.path_of(paths_.at(object)); }
  /// Returns the same, relative to the directory.
  const std::string& name_of(std::size_t object) const { return paths_.at(object); }
  /// Returns whether the object becomes a directory: is_folder_marker().
  bool is_directory(std::size_t object) const { return is_directory_.at(object); }
  os::DirectoryTree& tree() noexcept { return tree_; }
  /// Notes which files of `objects` (empty: all) existed when the run began, for found(). To be called before the first
  /// receive(). `began`: that time by os::file_system_time(), before the archive was opened; absent: not known, so that
  /// every file that exists counts. A file that changed between `began` and this call counts as one that appeared.
  void look(const std::vector<std::size_t>& objects, std::optional<TimePoint> began);
  /// Returns what may happen to a file that has the object's name at the end: it may be replaced if look() found that
  /// it existed, or if two objects have the name; else it is kept, since it appeared meanwhile.
  os::Existing found(std::size_t object) const;
  /// Begins a file that takes its name on finish(), with the object's modification time and permission bits (as
  /// os::AtomicFile limits them), or a directory that is made on finish(). Not durable before sync().
  /// Throws as os::DirectoryTree::create() does, finish() as os::TreeFile::commit() does.
  std::unique_ptr<ObjectReceiver> receive(std::size_t object, TimePoint modified, os::Existing existing);
  /// Makes what was written durable.
  void sync() { tree_.sync(); }

 private:
  os::Files& files_;
  os::DirectoryTree tree_;
  std::vector<std::string> paths_;     ///< by object
  std::vector<bool> is_directory_;     ///< by object
  std::vector<std::uint16_t> modes_;   ///< by object, no_mode for those without one; empty: none has one
  std::vector<bool> may_be_replaced_;  ///< by object
};

}  // namespace bale::archive
