// Local files as a parameter. Everything that Bale promises to survive a power cut goes through here.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace bale::os {

namespace fs = std::filesystem;

/// What a disk and the page cache work in; 4096 bytes also suit disks with sectors of 512 (open(2), "O_DIRECT").
constexpr std::size_t page_bytes = 4096;

/// A file opened for reading; its content stays readable after the name is gone. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual ByteCount size() const = 0;
  /// Reads up to bytes.size() bytes at `offset`; fewer only at the end of the file. Throws Error{unavailable}.
  virtual std::size_t read_at(ByteCount offset, MutableBytes bytes) = 0;
  /// Asks the system to forget what it keeps of the file in memory, so that the next reads come from the disk
  /// (posix_fadvise POSIX_FADV_DONTNEED). Bytes that are not on the disk yet stay: call WritableFile::sync() before.
  /// File systems in memory ignore it. The default does nothing.
  virtual void drop_cached() {}
  /// As read_at(), from the disk and not from what the system keeps of the file in memory: where the file system lets
  /// them, bytes that lie on page_bytes in memory and in the file are read without the page cache (O_DIRECT). The
  /// others are dropped from it first, as by drop_cached(); call WritableFile::write_out() before. The default is
  /// read_at().
  virtual std::size_t read_past_cache(ByteCount offset, MutableBytes bytes) { return read_at(offset, bytes); }
};

/// A file being written from its start. Not thread-safe. Destroying it closes it without syncing.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  /// Appends all of `bytes`. Throws Error{unavailable}; a full disk says so.
  virtual void write(ByteView bytes) = 0;
  /// Writes at an offset, for parallel writers of one file (pwrite). Does not move the append position.
  virtual void write_at(ByteCount offset, ByteView bytes) = 0;
  /// As write_at(), for much data that are synced soon and not read soon: where the file system lets them, they go to
  /// the disk without the page cache, whose fresh pages cost several times what a copy does, and which then keeps
  /// what others need. Only bytes that lie on page_bytes in memory and in the file can. The default is write_at().
  virtual void write_past_cache(ByteCount offset, ByteView bytes) { write_at(offset, bytes); }
  /// Returns after the bytes of a range are on the disk, and asks the system to forget what it keeps of them in memory
  /// (sync_file_range, posix_fadvise). Not durable as after sync(): the disk may keep them in a cache of its own, and
  /// the file's size and place are not written. May be called while other ranges are written. The default does nothing.
  virtual void write_out(ByteCount offset, ByteCount length);
  /// Copies bytes from..from+length of another file to offset `to`, where nothing may have been written before; does
  /// not move the append position. The real file system copies in the kernel, shares blocks where it can, and keeps
  /// holes as holes; this default reads and writes, leaving holes for blocks of zeros. `source` must have the bytes:
  /// Error{unavailable} otherwise.
  virtual void copy_from(ReadableFile& source, ByteCount from, ByteCount length, ByteCount to);
  /// Makes the file at least `size` bytes long; what was never written reads as zeros and takes no space. The
  /// default is Error{unsupported}.
  virtual void extend_to(ByteCount size);
  /// Sets the permission bits (0777), whatever the umask is. The default does nothing.
  virtual void set_mode(std::uint32_t mode);
  /// Takes the permission bits away that `mode` does not have. The default does nothing.
  virtual void limit_mode(std::uint32_t mode);
  /// Returns after the content is on stable storage. The *name* needs sync_directory of its directory too.
  virtual void sync() = 0;
};

/// Writes bytes at an offset as write_at() does, or write_past_cache() where `past_cache`, without runs of zeros of at
/// least `least_hole` bytes (whole pages) or in a first or last page that is not whole: holes of a new file stay holes.
/// Returns the end of what was written; `offset` where nothing was: the caller extends the file with extend_to().
ByteCount write_leaving_holes(WritableFile& file, ByteCount offset, ByteView bytes, std::size_t least_hole = page_bytes,
                              bool past_cache = false);

/// An exclusive claim on a file that ends when it is destroyed or its process ends, however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class FileType { regular, directory, symlink, other };

struct FileInfo {
  FileType type = FileType::regular;
  ByteCount size = 0;
  TimePoint modified{};
  /// The last change of content, name or permissions (st_ctime), which no program can set back.
  TimePoint changed{};
  std::uint32_t mode = 0;  ///< permission bits, 07777
  // Together they say whether two paths lead to the same file (a directory reached again through a symlink).
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

struct DirectoryEntry {
  std::string name;
  FileType type = FileType::regular;
};

class Directory;

/// The file system. Thread-safe. All throw Error: denied (EACCES, EPERM, EROFS), not_found where the result type cannot
/// say so, unavailable (everything else), with the path as where().
class Files {
 public:
  virtual ~Files() = default;

  /// Absent when nothing has that name.
  virtual std::unique_ptr<ReadableFile> open_if_exists(const fs::path& path) = 0;
  /// Throws Error{not_found}.
  std::unique_ptr<ReadableFile> open(const fs::path& path);
  /// Makes a new file for writing. Throws Error{precondition} when the name is taken.
  virtual std::unique_ptr<WritableFile> create(const fs::path& path) = 0;
  /// Opens an existing file for writing in place. Throws Error{not_found}. The default is Error{unsupported}.
  virtual std::unique_ptr<WritableFile> open_for_writing(const fs::path& path);
  /// Gives the file `from` the second name `to`, where the file system can (else Error{unsupported}).
  /// Throws Error{precondition} when `to` is taken.
  virtual void link(const fs::path& from, const fs::path& to);
  /// Claims the file, making it when it is missing; null when somebody else, in this process or another, has claimed
  /// it. The default is Error{unsupported}.
  virtual std::unique_ptr<FileLock> try_lock(const fs::path& path);
  /// Replaces `to` atomically.
  virtual void rename(const fs::path& from, const fs::path& to) = 0;
  /// Gives the file another name that nothing has. Throws Error{precondition} when something has the name `to` at that
  /// moment, Error{unsupported} when the file system can neither rename so nor make hard links. The default uses link()
  /// and remove().
  virtual void rename_new(const fs::path& from, const fs::path& to);
  /// Opens a directory; symbolic links in `path` are followed. The default works by paths, which others can redirect
  /// meanwhile; the real file system works by descriptors. Throws Error{not_found}.
  virtual std::unique_ptr<Directory> open_directory(const fs::path& path);
  /// As create(), with the mode 0600 whatever the umask allows. The default is create() and set_mode().
  virtual std::unique_ptr<WritableFile> create_private(const fs::path& path);
  /// As make_directories(), each made with the mode 0700. The default is make_directories() and set_mode().
  virtual std::vector<fs::path> make_private_directories(const fs::path& path);
  /// Sets the permission bits (07777) of a file or directory. The default does nothing.
  virtual void set_mode(const fs::path& path, std::uint32_t mode);
  /// Removes a file or an empty directory; false when nothing had that name or the directory is not empty.
  virtual bool remove(const fs::path& path) = 0;
  /// Makes the directory and its parents where missing. Returns those it made, outermost first, so that they can be
  /// synced.
  virtual std::vector<fs::path> make_directories(const fs::path& path) = 0;
  /// Does not follow a symlink at the end of the path.
  virtual std::optional<FileInfo> info(const fs::path& path) = 0;
  /// Follows symlinks to what they lead to: the type is never `symlink`. Absent when that does not exist, or when the
  /// links go round in circles.
  virtual std::optional<FileInfo> info_followed(const fs::path& path) = 0;
  /// Names in a directory, sorted bytewise; throws Error{not_found}.
  virtual std::vector<DirectoryEntry> list(const fs::path& path) = 0;
  /// Makes the names in a directory durable.
  virtual void sync_directory(const fs::path& path) = 0;
  /// Makes all data and names of the file system that holds `path` durable: cheaper than many single syncs.
  virtual void sync_filesystem(const fs::path& path) = 0;
  /// Returns the bytes that an unprivileged process can still write to the file system that holds `path` (statvfs,
  /// f_bavail). Throws Error{not_found}. The default knows no limit.
  virtual ByteCount free_bytes(const fs::path& path);
  /// Sets the modification time of a file.
  virtual void set_modified(const fs::path& path, TimePoint time) = 0;
  /// The path without symlinks, absolute. Throws Error{not_found} when a link leads nowhere. The default knows no
  /// links and returns `path`.
  virtual fs::path resolve(const fs::path& path);
  /// Whether what has the name takes bytes as they come, without keeping them under it: a pipe, a character device, or
  /// a descriptor of this process ("/dev/stdout", "/dev/fd/5"). The default is false.
  virtual bool is_stream(const fs::path& path);
  /// Opens what is_stream() is true of; waits for the reader of a pipe. The file takes write() alone, which waits for
  /// the reader and fails as Error{unavailable} when the reader has gone; sync() does nothing. Both throw
  /// Error{cancelled} instead of waiting once `stop` is requested. The default is Error{unsupported}.
  virtual std::unique_ptr<WritableFile> open_stream(const fs::path& path, std::stop_token stop);
};

/// The real file system (Linux); never destroyed.
Files& system_files();

/// The content of a small file; also of those of /proc and /sys, which do not know their size. Throws Error{invalid}
/// when it is larger than `most` bytes, Error{not_found} when absent.
std::string read_text_file(Files& files, const fs::path& path, ByteCount most = 64 << 20);
/// Replaces `path` with `text`, durably and atomically: either the old or the new content is there after a power cut.
void write_file_atomically(Files& files, const fs::path& path, ByteView content);

/// Returns where a new file takes its place when it is written to `path`: `path` itself, or what a link there leads to.
/// Throws Error{invalid} where something that is not a regular file has the name: a directory, a pipe, a device, a link
/// that leads nowhere. `files` is borrowed for the call.
fs::path place_of_new_file(Files& files, const fs::path& path);

/// What happens to a file that has the name of a new file when the new file is complete.
enum class Existing {
  replace,   ///< it is replaced
  as_found,  ///< it is replaced if a file had the name when the new file was begun; else it stays: Error{precondition}
  keep,      ///< it stays: Error{precondition}, at the beginning already when it is there then
};

/// The permission bits of a new file that has none of its own; the umask takes some away.
constexpr std::uint32_t default_mode = 0644;

/// A file that appears under its name only when commit() is called; until then, and on every failure, nothing is there.
/// A file that replaces another has the other's permission bits, or those of its own `mode` that the other has too: a
/// file that others may not read stays so. Not thread-safe, apart from write_at of distinct ranges.
class AtomicFile {
 public:
  /// Starts a temporary file beside `path`, whose directory must exist. `files` is borrowed. Throws as
  /// place_of_new_file() does.
  AtomicFile(Files& files, const fs::path& path, Existing existing = Existing::replace);
  /// Starts a temporary file in an open directory. Throws Error: denied when a symbolic link has the name, invalid when
  /// something else than a file has it, precondition when a file has it that has to be kept.
  /// `mode`: the permission bits that the file should have, of which the umask takes some away; nullopt: default_mode.
  AtomicFile(std::shared_ptr<Directory> directory, std::string name, Existing existing,
             std::optional<std::uint32_t> mode = std::nullopt);
  ~AtomicFile();  ///< removes the temporary file unless committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  WritableFile& file() noexcept { return *file_; }
  /// Where the file is after commit(): not the path that was given when that is a link.
  fs::path path() const;
  /// The directory that the file is written to.
  Directory& directory() noexcept { return *directory_; }
  /// Opens what was written so far, before commit().
  std::unique_ptr<ReadableFile> reopen();
  /// Sets the modification time that the file has after commit(). To be called after the last write.
  void set_modified(TimePoint time);
  /// Syncs, gives the file its name, and syncs the directory. Throws Error{precondition}, leaving nothing behind, when
  /// the name is taken by a file that has to be kept.
  void commit();
  /// Only gives the file its name: for many files that are made durable together afterwards.
  void commit_without_sync();

 private:
  void begin(Existing existing);
  void choose_mode(const std::optional<FileInfo>& found);
  void finish_mode();
  void take_name();
  std::shared_ptr<Directory> directory_;
  std::string name_, temporary_;
  bool may_replace_ = false;
  std::optional<std::uint32_t> mode_;  ///< the file's own
  std::uint32_t final_mode_ = default_mode;
  bool is_mode_inherited_ = false;  ///< final_mode_ is that of the file that is replaced
  std::unique_ptr<WritableFile> file_;
};

}  // namespace bale::os
