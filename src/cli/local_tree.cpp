#include "cli/local_tree.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace bale::cli {
namespace {

class Walk {
 public:
  Walk(os::Files& files, const os::fs::path& root, Links links, const TreeVisitor& visitor)
      : files_(files), root_(root), links_(links), visitor_(visitor) {}

  /// `relative` is "" or ends with '/'.
  void directory(const std::string& relative, const os::FileInfo& info) {
    const os::fs::path path = root_ / relative;
    const Identity identity{info.device, info.inode};
    if (std::find(open_.begin(), open_.end(), identity) != open_.end())
      return visitor_.skipped(path, "the link leads to a directory that contains it");
    std::vector<os::DirectoryEntry> entries;
    try {
      entries = files_.list(path);
    } catch (const Error& error) {
      return visitor_.failed(path, error);
    }
    if (entries.empty()) visitor_.empty_directory();
    open_.push_back(identity);
    for (const os::DirectoryEntry& entry : entries) visit(relative + entry.name);
    open_.pop_back();
  }

 private:
  using Identity = std::pair<std::uint64_t, std::uint64_t>;  // device and inode

  void visit(const std::string& name) {
    const os::fs::path path = root_ / name;
    std::optional<os::FileInfo> info;
    try {
      info = links_ == Links::follow ? files_.info_followed(path) : files_.info(path);
    } catch (const Error& error) {
      return visitor_.failed(path, error);
    }
    if (!info && links_ == Links::leave_out) return;  // removed since it was listed: as if it had never been there
    if (!info) return visitor_.skipped(path, "the link leads nowhere, or the file has just been removed");
    switch (info->type) {
      case os::FileType::regular: return visitor_.file({name, *info});
      case os::FileType::directory: return directory(name + "/", *info);
      case os::FileType::symlink: return visitor_.skipped(path, "a symbolic link");
      case os::FileType::other: return visitor_.skipped(path, "neither a file nor a directory");
    }
  }

  os::Files& files_;
  const os::fs::path root_;
  const Links links_;
  const TreeVisitor& visitor_;
  std::vector<Identity> open_;  ///< the directories from the root to the one being listed
};

}  // namespace

void walk_tree(os::Files& files, const os::fs::path& directory, Links links, const TreeVisitor& visitor) {
  const auto info = files.info_followed(directory);
  if (!info || info->type != os::FileType::directory) {
    throw Error(ErrorKind::not_found, info ? "not a directory" : "no such directory", escape_name(directory.native()));
  }
  Walk(files, directory, links, visitor).directory("", *info);
}

}  // namespace bale::cli
