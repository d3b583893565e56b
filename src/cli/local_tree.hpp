// The files below a directory, as `bale s3 cp`, `bale archive create` and `bale bench` take them.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::cli {

/// A regular file that a walk found.
struct LocalFile {
  std::string name;  ///< relative to the directory, '/' between components
  os::FileInfo info;
};

/// What a walk makes of symbolic links.
enum class Links {
  follow,    ///< takes what they lead to
  leave_out  ///< skips them
};

/// Told what a walk finds.
struct TreeVisitor {
  std::function<void(const LocalFile&)> file;
  /// What is no file: the reason completes "left out PATH: ...".
  std::function<void(const os::fs::path&, const std::string& reason)> skipped;
  /// A directory that cannot be listed, or something that cannot be inspected. The walk goes on with the others.
  std::function<void(const os::fs::path&, const Error&)> failed;
  std::function<void()> empty_directory = [] {};
};

/// Calls visitor.file for every regular file below `directory`, in bytewise order of the names within each directory.
/// Skips sockets, pipes and devices; symbolic links as `links` says, and, where they are followed, those that lead
/// nowhere or to a directory that contains them. Throws only what the functions throw, and Error{not_found} when
/// `directory` is none. `files` is borrowed.
void walk_tree(os::Files& files, const os::fs::path& directory, Links links, const TreeVisitor& visitor);

}  // namespace bale::cli
