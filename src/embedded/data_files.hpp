// Data files and the directories they are in: made, made durable, removed.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "base/mutex.hpp"
#include "os/world.hpp"

namespace bale::embedded {

/// Syncs of directories, shared: whoever asks while one is under way waits for the next, together with all others who
/// ask meanwhile. Thread-safe.
class SharedDirectorySync {
 public:
  explicit SharedDirectorySync(os::Files& files) : files_(files) {}
  /// Returns when a sync of the directory that began after the call has ended. Throws as os::Files does.
  void sync(const os::fs::path& directory);

 private:
  struct Syncs {
    std::uint64_t begun = 0, ended = 0;  // numbers of syncs
    bool running = false;
    std::size_t users = 0;
    std::condition_variable changed;
  };
  /// Null when it went well.
  std::exception_ptr failure_of_sync(const os::fs::path& directory) const noexcept;
  os::Files& files_;
  Mutex mutex_;
  std::unordered_map<std::string, Syncs> directories_ BALE_GUARDED_BY(mutex_);  // those that somebody waits for
};

/// The files below one directory. Thread-safe, and safe against other processes that add and remove files there:
/// directories come and go with the files in them.
class DataFiles {
 public:
  /// `root` exists, durably.
  DataFiles(os::Files& files, os::fs::path root);

  os::fs::path absolute(const os::fs::path& relative) const { return root_ / relative; }
  /// Makes an empty file directly below the root, durably; nothing when it is there.
  void mark(const std::string& name);
  /// Makes a new file, and the directories above it where they are missing. Throws as os::Files does.
  std::unique_ptr<os::WritableFile> create(const os::fs::path& relative);
  /// Opens a file for writing in place, making it when it is missing.
  std::unique_ptr<os::WritableFile> open_or_create(const os::fs::path& relative);
  /// As create, but the file gets the content of `from` without copying where the file system can.
  void link_or_copy(const os::fs::path& from, const os::fs::path& to);
  /// Returns when the file's name, and the names of the directories above it, are durable. The file exists.
  void sync_name(const os::fs::path& relative);
  /// Removes the file where it is there, and the directories above it that are empty then.
  void remove(const os::fs::path& relative);
  /// Gives a file or directory another name, making the directories above it; removes those that it leaves empty.
  /// Returns false when `from` is gone, `to` is taken, or the file system cannot do it without replacing.
  bool move(const os::fs::path& from, const os::fs::path& to);
  /// Removes a directory and everything in it, as far as nobody adds to it meanwhile.
  void remove_tree(const os::fs::path& relative);
  /// Other processes have been at work: what was known of directories may have changed.
  void forget_directories();

 private:
  template <typename Make>
  void in_directory_of(const os::fs::path& path, const Make& make);

  os::Files& files_;
  SharedDirectorySync directory_sync_{files_};
  const os::fs::path root_;
  Mutex mutex_;
  /// Directories whose names are durable, with those of all above them.
  std::unordered_set<std::string> durable_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::embedded
