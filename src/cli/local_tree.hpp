// The files below a directory, as a copy takes them.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::cli {

/// What a walk found.
struct LocalFile {
  std::string name;  ///< relative to the directory, '/' between components
  ByteCount size = 0;
};

/// Calls `file` for every regular file below `directory`, in bytewise order of the names within each directory.
/// Symlinks are followed; a directory that is its own ancestor, a dangling link, and what is neither file nor directory
/// (socket, pipe, device) are told to `skipped`, with the reason. A directory that cannot be listed is told to
/// `failed`, and the others go on. Throws only what the functions throw, and Error{not_found} when `directory` is none.
struct TreeVisitor {
  std::function<void(const LocalFile&)> file;
  std::function<void(const os::fs::path&, const std::string& reason)> skipped;
  std::function<void(const os::fs::path&, const Error&)> failed;
};
void walk_tree(os::Files& files, const os::fs::path& directory, const TreeVisitor& visitor);

}  // namespace bale::cli
