// Directories by handle: names in them stay reachable, and are reached without links, whatever happens to their paths.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "os/files.hpp"

namespace bale::os {

/// An open directory. Every `name` is one component of a path: no '/', not "." or "..". No function follows a symbolic
/// link. Thread-safe. All throw Error as Files does, with the path that the directory was opened by in where().
class Directory {
 public:
  virtual ~Directory() = default;
  /// The path that it was opened by, for messages.
  virtual const fs::path& path() const = 0;
  /// The directory itself: device and inode tell whether two handles are of one directory.
  virtual FileInfo self() = 0;
  /// Absent when nothing has the name.
  virtual std::optional<FileInfo> info(const std::string& name) = 0;
  /// Returns when what has the name last changed or got a name: the change time of its inode, in whole milliseconds; by
  /// path alone, its modification time. Absent when nothing has the name.
  virtual std::optional<TimePoint> changed(const std::string& name) = 0;
  /// Names and types, sorted bytewise.
  virtual std::vector<DirectoryEntry> list() = 0;
  /// Absent when nothing has the name. Throws Error{denied} for a symbolic link, invalid for what is no regular file.
  virtual std::unique_ptr<ReadableFile> open_if_exists(const std::string& name) = 0;
  /// Makes a new file for writing, with the permission bits `mode` (0777) that the umask leaves. Throws
  /// Error{precondition} when the name is taken.
  virtual std::unique_ptr<WritableFile> create(const std::string& name, std::uint32_t mode) = 0;
  /// Opens the directory at `relative`, one or more names with '/' between them. Absent when there is none. Throws
  /// Error{denied} when a symbolic link is on the way or at the end, Error{precondition} for a file.
  virtual std::unique_ptr<Directory> open_below(const std::string& relative) = 0;
  /// Opens the directory `name`, making it when it is missing. `is_new` tells whether it was made. Throws as
  /// open_below() does.
  virtual std::unique_ptr<Directory> make_directory(const std::string& name, bool& is_new) = 0;
  /// Replaces `to` atomically.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  /// As Files::rename_new().
  virtual void rename_new(const std::string& from, const std::string& to) = 0;
  virtual void set_modified(const std::string& name, TimePoint time) = 0;
  /// Removes a file; false when nothing has the name.
  virtual bool remove(const std::string& name) = 0;
  /// Makes the names in the directory durable.
  virtual void sync() = 0;
  /// Makes all data and names of its file system durable.
  virtual void sync_filesystem() = 0;
};

/// Opens a directory by descriptor (O_PATH); links in `path` are followed.
std::unique_ptr<Directory> open_linux_directory(const fs::path& path);
/// A directory by its path, for implementations of Files that have no descriptors: what the path leads to may change
/// between two calls. `files` is borrowed.
std::unique_ptr<Directory> open_directory_by_path(Files& files, const fs::path& path);
/// Files::rename_new() relative to the directory `at` (AT_FDCWD: the working directory): renameat2 with
/// RENAME_NOREPLACE, else linkat and unlinkat. `shown` is for messages.
void rename_new_at(int at, const fs::path& from, const fs::path& to, const fs::path& shown);

/// Throws Error{invalid} when `found`, which has the name of a new file, is no regular file; denied for a link.
void check_replaceable(const FileInfo& found, const fs::path& path);

}  // namespace bale::os
