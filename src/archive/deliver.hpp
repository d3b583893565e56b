// Whole objects out of an archive, each verified before its receiver may keep it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/reader.hpp"
#include "base/mutex.hpp"
#include "os/files.hpp"

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

/// Whether `path`, on the way to a file that is to be written, is a directory that is there. Throws Error{denied} for a
/// symbolic link, which could lead out of the destination, and Error{precondition} for a file.
bool is_directory_on_the_way(os::Files& files, const os::fs::path& path);

/// Writes objects as files below a directory, each under safe_path() of its relative key. Never writes outside of it:
/// a symlink on the way is refused (Error{denied}). Thread-safe, except that somebody else may change the directory
/// meanwhile.
class FileExtractor {
 public:
  /// The directory is made with its parents where missing. `files` is borrowed.
  FileExtractor(os::Files& files, os::fs::path directory, const ObjectList& objects);
  /// The same for objects that are known by their keys alone. Throws Error{invalid} when a key comes twice.
  FileExtractor(os::Files& files, os::fs::path directory, const std::vector<std::string_view>& keys);
  /// Where the object is written to.
  os::fs::path path_of(std::size_t object) const { return directory_ / paths_.at(object); }
  /// The same, below the directory.
  const std::string& name_of(std::size_t object) const { return paths_.at(object); }
  /// A file that takes its name on finish(), with the object's modification time. Not durable before sync().
  std::unique_ptr<ObjectReceiver> receive(std::size_t object, TimePoint modified);
  /// Makes what was written durable.
  void sync();

 private:
  void make_parents(const std::string& path);
  os::Files& files_;
  const os::fs::path directory_;
  std::vector<std::string> paths_;  ///< by object
  Mutex mutex_;
  std::set<std::string> made_
      BALE_GUARDED_BY(mutex_);  ///< directories below directory_ that are known to be directories
};

}  // namespace bale::archive
