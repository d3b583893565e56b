#include "os/directory_tree.hpp"

#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

/// The directory that a name is in, and its last component.
std::pair<std::string, std::string> split_last(const std::string& name) {
  const auto slash = name.rfind('/');
  if (slash == std::string::npos) return {{}, name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

bool is_same_directory(const FileInfo& a, const FileInfo& b) { return a.device == b.device && a.inode == b.inode; }

}  // namespace

TreeRoot open_tree_root(Files& files, const fs::path& path) {
  TreeRoot root(path);
  try {
    const auto found = files.info_followed(path);
    root.was_missing = !found;
    if (found && found->type == FileType::directory) root.opened = files.open_directory(path);
  } catch (const Error&) {
    // Whoever writes the first file meets the same.
  }
  return root;
}

DirectoryTree::DirectoryTree(Files& files, TreeRoot root, Durability durability)
    : files_(files),
      root_path_(std::move(root.path)),
      was_missing_(root.was_missing),
      durability_(durability),
      root_(std::move(root.opened)) {}

std::shared_ptr<Directory> DirectoryTree::root() {
  const Lock lock(mutex_);
  if (root_) return root_;
  const auto found = files_.info_followed(root_path_);
  if (!found || found->type != FileType::directory) return nullptr;  // what is to be written there says why
  require_no_link();
  root_ = files_.open_directory(root_path_);
  return root_;
}

std::shared_ptr<Directory> DirectoryTree::make_root() {
  if (auto directory = root()) return directory;
  for (const fs::path& made : files_.make_directories(root_path_)) {
    if (durability_ == Durability::each_file)
      files_.sync_directory(made.has_parent_path() ? made.parent_path() : fs::path("."));
  }
  const Lock lock(mutex_);
  if (root_) return root_;
  require_no_link();
  root_ = files_.open_directory(root_path_);
  return root_;
}

void DirectoryTree::require_no_link() {
  if (!was_missing_) return;
  // "out/" leads through a link, "out" is the link.
  const auto found = files_.info(root_path_.has_filename() ? root_path_ : root_path_.parent_path());
  if (!found || found->type != FileType::symlink) return;
  throw Error(ErrorKind::denied, "a symbolic link has taken the name of the directory since the command began",
              escape_name(root_path_.native()), "remove the link, and run the command again");
}

void DirectoryTree::require_root_in_place() {
  const auto opened = root();
  const auto there = files_.info_followed(root_path_);
  if (opened && there && is_same_directory(*there, opened->self())) return;
  throw Error(ErrorKind::precondition, "the directory was moved or replaced while files were written to it",
              escape_name(root_path_.native()), "run the command again when nobody changes the directory");
}

std::shared_ptr<Directory> DirectoryTree::open(const std::string& directory) {
  auto at = root();
  if (!at || directory.empty()) return at;
  return at->open_below(directory);
}

std::shared_ptr<Directory> DirectoryTree::make(const std::string& directory) {
  is_changed_ = true;
  if (auto there = open(directory)) return there;
  std::shared_ptr<Directory> at = make_root();
  if (directory.empty()) return at;
  for (const std::string_view name : split(directory, '/')) {
    bool is_new = false;
    std::shared_ptr<Directory> next = at->make_directory(std::string(name), is_new);
    if (is_new && durability_ == Durability::each_file) at->sync();
    at = std::move(next);
  }
  return at;
}

std::optional<FileInfo> DirectoryTree::info(const std::string& name) {
  const auto [directory, last] = split_last(name);
  const auto opened = open(directory);
  if (opened && name.empty()) return opened->self();
  return opened ? opened->info(last) : std::nullopt;
}

std::optional<TimePoint> DirectoryTree::changed(const std::string& name) {
  const auto [directory, last] = split_last(name);
  const auto opened = open(directory);
  return opened ? opened->changed(last) : std::nullopt;
}

std::unique_ptr<ReadableFile> DirectoryTree::open_if_exists(const std::string& name) {
  const auto [directory, last] = split_last(name);
  const auto opened = open(directory);
  return opened ? opened->open_if_exists(last) : nullptr;
}

std::set<std::string> DirectoryTree::top_names() {
  std::set<std::string> names;
  const auto opened = root();
  if (!opened) return names;
  for (const DirectoryEntry& entry : opened->list()) names.insert(entry.name);
  return names;
}

void DirectoryTree::make_directories(const std::string& name) { make(name); }

std::unique_ptr<TreeFile> DirectoryTree::create(const std::string& name, Existing existing,
                                                std::optional<std::uint32_t> mode) {
  auto [directory, last] = split_last(name);
  auto opened = make(directory);
  return std::unique_ptr<TreeFile>(
      new TreeFile(*this, std::move(directory), std::move(opened), std::move(last), existing, mode));
}

void DirectoryTree::require_in_place(const std::string& directory, Directory& opened) {
  require_root_in_place();
  if (directory.empty()) return;
  const auto there = open(directory);
  if (there && is_same_directory(there->self(), opened.self())) return;
  throw Error(ErrorKind::precondition, "the directory was moved or replaced while a file was written to it",
              escape_name(path_of(directory).native()), "run the command again when nobody changes the directory");
}

void DirectoryTree::sync() {
  if (!is_changed_ || durability_ == Durability::each_file) return;
  if (const auto opened = root()) opened->sync_filesystem();
}

void TreeFile::commit(TimePoint modified) {
  file_.set_modified(modified);
  tree_.require_in_place(parent_, file_.directory());
  if (tree_.durability_ == Durability::each_file)
    file_.commit();
  else
    file_.commit_without_sync();
}

}  // namespace bale::os
