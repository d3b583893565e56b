// The files below a directory.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::os {

/// A regular file that a walk found.
struct WalkedFile {
  std::string name;  ///< relative to the directory, '/' between components
  FileInfo info;
};

/// What a walk makes of symbolic links below the directory. The directory itself may be reached through links.
enum class Links {
  follow,         ///< takes what they lead to
  leave_out,      ///< skips them
  follow_inside,  ///< takes what they lead to below the directory; an error for one that leads out of it, or nowhere
};

/// What a walk makes of a directory that cannot be listed, of what cannot be inspected, and of refused links.
enum class Unreadable {
  report,  ///< tells TreeVisitor::failed, and goes on with the others
  fail,    ///< throws the error
};

/// How a walk is made.
struct WalkPolicy {
  Links links = Links::leave_out;
  Unreadable unreadable = Unreadable::report;
  /// Describes each file. False: WalkedFile::info has the type alone, which saves a call for each file; only with
  /// Links::leave_out.
  bool describes_files = true;
};

/// Told what a walk finds.
struct TreeVisitor {
  std::function<void(const WalkedFile&)> file;
  /// What is no file: the reason completes "left out PATH: ...".
  std::function<void(const fs::path&, const std::string& reason)> skipped;
  /// What cannot be read, with Unreadable::report.
  std::function<void(const fs::path&, const Error&)> failed = [](const fs::path&, const Error&) {};
  /// A directory with nothing in it, by its name relative to the walked one; "" for that one.
  std::function<void(const std::string& name)> empty_directory = [](const std::string&) {};
};

/// Calls visitor.file for every regular file below `directory`, in bytewise order of the names within each directory.
/// Skips sockets, pipes and devices; symbolic links as the policy says, and, where they are followed, those that lead
/// nowhere or to a directory that contains them. Throws what the functions throw, Error{not_found} when `directory` is
/// none, and as Unreadable::fail says. `files` is borrowed.
void walk_tree(Files& files, const fs::path& directory, const WalkPolicy& policy, const TreeVisitor& visitor);

}  // namespace bale::os
