#include "os/tree_walk.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace bale::os {
namespace {

constexpr const char* leads_nowhere = "the link leads nowhere, or the file has just been removed";

/// Whether `path` is `directory` or below it; both without links.
bool is_inside(const fs::path& path, const fs::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

class Walk {
 public:
  Walk(Files& files, const fs::path& root, const WalkPolicy& policy, const TreeVisitor& visitor)
      : files_(files), root_(root), policy_(policy), visitor_(visitor) {
    if (policy.links == Links::follow_inside) resolved_root_ = files.resolve(root);
  }

  /// `name` is "" for the root.
  void directory(const std::string& name, const FileInfo& info) {
    const fs::path path = root_ / (name.empty() ? name : name + "/");
    const Identity identity{info.device, info.inode};
    const bool is_circle = std::find(open_.begin(), open_.end(), identity) != open_.end();
    if (policy_.links != Links::leave_out && is_circle)
      return visitor_.skipped(path, "the link leads to a directory that contains it");
    const auto entries = reading(path, [&] { return files_.list(path); });
    if (!entries) return;
    if (entries->empty()) visitor_.empty_directory(name);
    open_.push_back(identity);
    for (const DirectoryEntry& entry : *entries) visit(name.empty() ? entry.name : name + "/" + entry.name, entry.type);
    open_.pop_back();
  }

 private:
  using Identity = std::pair<std::uint64_t, std::uint64_t>;  // device and inode

  /// What `read` returns; absent when it failed and the walk goes on.
  template <typename Read>
  std::optional<std::invoke_result_t<Read&>> reading(const fs::path& path, Read read) {
    try {
      return read();
    } catch (const Error& error) {
      if (policy_.unreadable == Unreadable::fail) throw;
      visitor_.failed(path, error);
      return std::nullopt;
    }
  }

  std::optional<FileInfo> describe(const fs::path& path) {
    if (policy_.links == Links::follow) return files_.info_followed(path);
    const auto info = files_.info(path);
    if (policy_.links == Links::leave_out || !info || info->type != FileType::symlink) return info;
    const fs::path target = files_.resolve(path);  // throws for one that leads nowhere
    if (!is_inside(target, resolved_root_)) {
      throw Error(ErrorKind::denied, "the symbolic link leads out of the directory", escape_name(path.native()),
                  "replace the link by what it leads to, or remove it");
    }
    return files_.info(target);
  }

  void visit(const std::string& name, FileType listed) {
    const fs::path path = root_ / name;
    if (!policy_.describes_files) return take(name, path, {.type = listed});
    const auto info = reading(path, [&] { return describe(path); });
    if (!info) return;
    if (*info) return take(name, path, **info);
    // Removed since it was listed: where no link can be the reason, as if it had never been there.
    if (policy_.links != Links::leave_out) visitor_.skipped(path, leads_nowhere);
  }

  void take(const std::string& name, const fs::path& path, const FileInfo& info) {
    switch (info.type) {
      case FileType::regular: return visitor_.file({name, info});
      case FileType::directory: return directory(name, info);
      case FileType::symlink: return visitor_.skipped(path, "a symbolic link");
      case FileType::other: return visitor_.skipped(path, "neither a file nor a directory");
    }
  }

  Files& files_;
  const fs::path root_;
  fs::path resolved_root_;  ///< with Links::follow_inside
  const WalkPolicy policy_;
  const TreeVisitor& visitor_;
  std::vector<Identity> open_;  ///< the directories from the root to the one being listed
};

}  // namespace

void walk_tree(Files& files, const fs::path& directory, const WalkPolicy& policy, const TreeVisitor& visitor) {
  const auto info = files.info_followed(directory);
  if (!info || info->type != FileType::directory) {
    throw Error(ErrorKind::not_found, info ? "not a directory" : "no such directory", escape_name(directory.native()));
  }
  Walk(files, directory, policy, visitor).directory("", *info);
}

}  // namespace bale::os
