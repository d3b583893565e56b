// Step 1: copies the files of an acquisition from the instrument to the local pool, reading the instrument once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jobs/raw/tools.hpp"
#include "os/files.hpp"
#include "transfer/file_digests.hpp"

namespace bale::raw {

/// A file to copy.
struct SourceFile {
  std::string name;     ///< in the pool, relative to CopyRequest::directory, '/' between components
  os::fs::path path;    ///< on the instrument
  os::FileInfo info{};  ///< as it was found
};

/// What is copied, and where to.
struct CopyRequest {
  std::string id;                          ///< of the acquisition; part of the name of the staging directory
  std::vector<SourceFile> files;           ///< the main file first: it gets its name last
  std::vector<std::string> empty_folders;  ///< relative to `directory`
  os::fs::path directory;                  ///< in the pool; made where missing
  /// The pool: `directory` is in it, and is reached from it without symbolic links; the pool itself may be a link.
  /// Empty: `directory` is the pool.
  os::fs::path pool;
  /// Returns the part size of the ETag of a file of so many bytes.
  std::function<ByteCount(ByteCount size)> part_bytes;
  /// Called when all is copied and compared, before the first file gets its name. What it throws ends the copying, and
  /// no file gets its name.
  std::function<void()> before_names = {};
};

/// A file that is in the pool.
struct CopiedFile {
  std::string name;
  transfer::FileDigests digests;
  os::FileInfo source;     ///< the file on the instrument, as it was after it was read
  bool was_there = false;  ///< an identical copy had the name already: nothing was written
};

/// Codes of the errors of copy_files(), beside those of the file system.
inline constexpr const char* source_changed = "SourceChanged";
inline constexpr const char* source_gone = "SourceGone";
inline constexpr const char* copy_differs = "LocalCopyDiffers";  ///< what was read back is not what was written
inline constexpr const char* name_is_taken = "LocalNameTaken";   ///< another file has the name in the pool
inline constexpr const char* no_space = "NoSpace";
inline constexpr const char* link_in_pool = "LinkInPool";  ///< a folder or file of the pool is a symbolic link

/// Copies files into the pool. All names appear together at the end, or none: the files are written to a staging
/// directory ".bale-raw-ID.partial" beside their place, made durable, read back past the page cache, and compared with
/// the checksum of what was read from the instrument. A large file is read back while its later bytes are copied. Then
/// each source is looked at once more, and the names are given. A file of the pool that is equal to its source is left
/// as it is; one that differs is never replaced. Symbolic links below the pool are refused.
///
/// Each source is read once; a second time only where its times changed in a way that does not show a write
/// (Change::unclear). Modification times and permission bits are kept. Returns the files in the order of the request.
/// Throws Error, leaving no name behind: precondition with source_changed, name_is_taken or link_in_pool, not_found
/// with source_gone, corrupt with copy_differs, unavailable with no_space (before the first byte), cancelled after a
/// stop.
std::vector<CopiedFile> copy_files(const CopyRequest& request, const Tools& tools);

/// Throws as copy_files() does unless every source is still what it was when it was copied.
void check_unchanged(const std::vector<SourceFile>& files, const std::vector<CopiedFile>& copied, const Tools& tools);

}  // namespace bale::raw
