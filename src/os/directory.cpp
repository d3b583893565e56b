#include "os/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "os/linux_file.hpp"

namespace bale::os {
namespace {

Error link_on_the_way(const fs::path& path) {
  return Error(ErrorKind::denied, "a symbolic link is in the way: following it could lead out of the directory",
               escape_name(path.native()), "remove the link, or choose another directory");
}

Error file_on_the_way(const fs::path& path) {
  return Error(ErrorKind::precondition, "a file has the directory's name", escape_name(path.native()),
               "remove the file, or choose another directory");
}

/// A directory was removed, or its entry in its parent was, between two calls of one operation.
Error directory_lost(const fs::path& path) {
  return Error(ErrorKind::precondition, "another process moved or removed the directory", escape_name(path.native()),
               "run the command again when nobody changes the directory");
}

constexpr int directory_flags = O_PATH | O_DIRECTORY;

/// How often a directory is opened or made again that another process replaces or removes at that moment.
constexpr int attempts_at_changing_directory = 8;

/// openat2 below a directory without links. Negative where that is not possible for any reason: the caller then goes
/// step by step, and learns the reason.
Descriptor open_beneath(int at, const std::string& relative) {
  static std::atomic<bool> is_known{true};  // false: Linux before 5.6, or a sandbox that forbids the call
  if (!is_known) return Descriptor(-1);
  open_how how{};
  how.flags = directory_flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, at, relative.c_str(), &how, sizeof how));
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) is_known = false;
  return Descriptor(fd);
}

class LinuxDirectory final : public Directory {
 public:
  LinuxDirectory(Descriptor fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  const fs::path& path() const override { return path_; }

  FileInfo self() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) throw system_error("inspect", path_);
    return file_info(status);
  }

  std::optional<FileInfo> info(const std::string& name) override {
    struct stat status {};
    if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return file_info(status);
    if (errno == ENOENT) return std::nullopt;
    throw system_error("inspect", path_ / name);
  }

  std::optional<TimePoint> changed(const std::string& name) override {
    struct stat status {};
    if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return to_time_point(status.st_ctim);
    if (errno == ENOENT) return std::nullopt;
    throw system_error("inspect", path_ / name);
  }

  std::vector<DirectoryEntry> list() override {
    const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw system_error("list", path_);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd), &::closedir);
    if (!directory) {
      ::close(fd);
      throw system_error("list", path_);
    }
    std::vector<DirectoryEntry> entries;
    for (errno = 0; const dirent* entry = ::readdir(directory.get()); errno = 0) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const FileType type = entry->d_type == DT_UNKNOWN ? info(name).value_or(FileInfo{.type = FileType::other}).type
                                                        : type_of_entry(entry->d_type);
      entries.push_back({name, type});
    }
    if (errno != 0) throw system_error("list", path_);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  std::unique_ptr<ReadableFile> open_if_exists(const std::string& name) override {
    // O_NONBLOCK: a pipe that took the name meanwhile has no writer to wait for.
    Descriptor fd = open_descriptor_at(fd_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd.get() >= 0) return make_readable_file(std::move(fd), path_ / name);
    if (errno == ENOENT) return nullptr;
    if (errno == ELOOP) throw link_on_the_way(path_ / name);
    throw system_error("open", path_ / name);
  }

  std::unique_ptr<WritableFile> create(const std::string& name, std::uint32_t mode) override {
    Descriptor fd = open_descriptor_at(fd_.get(), name, O_WRONLY | O_CREAT | O_EXCL, mode & 0777);
    if (fd.get() < 0 && errno == ENOENT) throw directory_lost(path_);
    if (fd.get() < 0) throw system_error("create", path_ / name);
    return make_writable_file(std::move(fd), path_ / name);
  }

  std::unique_ptr<Directory> open_below(const std::string& relative) override {
    if (Descriptor fd = open_beneath(fd_.get(), relative); fd.get() >= 0)
      return std::make_unique<LinuxDirectory>(std::move(fd), path_ / relative);
    std::unique_ptr<Directory> below;
    LinuxDirectory* at = this;
    for (const std::string_view name : split(relative, '/')) {
      auto next = at->open_one(std::string(name));
      if (!next) return nullptr;
      at = next.get();
      below = std::move(next);
    }
    return below;
  }

  std::unique_ptr<Directory> make_directory(const std::string& name, bool& is_new) override {
    for (int attempt = 0; attempt < attempts_at_changing_directory; ++attempt) {
      is_new = ::mkdirat(fd_.get(), name.c_str(), 0755) == 0;
      if (!is_new && errno == ENOENT) break;  // this directory was removed
      if (!is_new && errno != EEXIST) throw system_error("make the directory", path_ / name);
      if (auto directory = open_one(name)) return directory;  // absent: another process took it away again
    }
    throw directory_lost(path_ / name);
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0) throw system_error("rename", path_ / to);
  }

  void rename_new(const std::string& from, const std::string& to) override {
    rename_new_at(fd_.get(), from, to, path_ / to);
  }

  void set_modified(const std::string& name, TimePoint time) override {
    const timespec stamp = to_timespec(time);
    const timespec times[2] = {stamp, stamp};
    if (::utimensat(fd_.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      throw system_error("set the time of", path_ / name);
  }

  bool remove(const std::string& name) override {
    if (::unlinkat(fd_.get(), name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    throw system_error("remove", path_ / name);
  }

  void sync() override { sync_descriptor(readable().get(), path_); }
  void sync_filesystem() override { sync_filesystem_of(readable().get(), path_); }

 private:
  /// One step down; null when nothing has the name.
  std::unique_ptr<LinuxDirectory> open_one(const std::string& name) {
    if (name.empty() || name == "." || name == "..")
      throw Error(ErrorKind::internal, "not a name below a directory", escape_name((path_ / name).native()));
    for (int attempt = 0; attempt < attempts_at_changing_directory; ++attempt) {
      Descriptor fd = open_descriptor_at(fd_.get(), name, directory_flags | O_NOFOLLOW);
      if (fd.get() >= 0) return std::make_unique<LinuxDirectory>(std::move(fd), path_ / name);
      if (errno == ENOENT) return nullptr;
      if (errno != ENOTDIR && errno != ELOOP) throw system_error("open", path_ / name);
      const auto found = info(name);  // a directory, or nothing, when another process just changed the name's meaning
      if (found && found->type == FileType::symlink) throw link_on_the_way(path_ / name);
      if (found && found->type != FileType::directory) throw file_on_the_way(path_ / name);
    }
    throw directory_lost(path_ / name);
  }

  /// O_PATH needs no permission to read the directory; fsync and syncfs need a descriptor that has it.
  Descriptor readable() const {
    Descriptor fd = open_descriptor_at(fd_.get(), ".", O_RDONLY | O_DIRECTORY);
    if (fd.get() < 0) throw system_error("open", path_);
    return fd;
  }

  const Descriptor fd_;
  const fs::path path_;
};

class PathDirectory final : public Directory {
 public:
  PathDirectory(Files& files, fs::path path) : files_(files), path_(std::move(path)) {}
  const fs::path& path() const override { return path_; }
  FileInfo self() override {
    const auto found = files_.info_followed(path_);
    if (!found) throw Error(ErrorKind::not_found, "the directory is gone", escape_name(path_.native()));
    return *found;
  }
  std::optional<FileInfo> info(const std::string& name) override { return files_.info(path_ / name); }
  std::optional<TimePoint> changed(const std::string& name) override {
    const auto found = info(name);
    return found ? std::optional(found->changed) : std::nullopt;
  }
  std::vector<DirectoryEntry> list() override { return files_.list(path_); }
  std::unique_ptr<ReadableFile> open_if_exists(const std::string& name) override {
    return files_.open_if_exists(path_ / name);
  }
  std::unique_ptr<WritableFile> create(const std::string& name, std::uint32_t mode) override {
    auto file = files_.create(path_ / name);
    file->limit_mode(mode);
    return file;
  }
  std::unique_ptr<Directory> open_below(const std::string& relative) override {
    fs::path at = path_;
    for (const std::string_view name : split(relative, '/')) {
      at /= name;
      const auto found = files_.info(at);
      if (!found) return nullptr;
      if (found->type == FileType::symlink) throw link_on_the_way(at);
      if (found->type != FileType::directory) throw file_on_the_way(at);
    }
    return std::make_unique<PathDirectory>(files_, at);
  }
  std::unique_ptr<Directory> make_directory(const std::string& name, bool& is_new) override {
    auto directory = open_below(name);
    is_new = directory == nullptr;
    if (!is_new) return directory;
    files_.make_directories(path_ / name);
    return std::make_unique<PathDirectory>(files_, path_ / name);
  }
  void rename(const std::string& from, const std::string& to) override { files_.rename(path_ / from, path_ / to); }
  void rename_new(const std::string& from, const std::string& to) override {
    files_.rename_new(path_ / from, path_ / to);
  }
  void set_modified(const std::string& name, TimePoint time) override { files_.set_modified(path_ / name, time); }
  bool remove(const std::string& name) override { return files_.remove(path_ / name); }
  void sync() override { files_.sync_directory(path_); }
  void sync_filesystem() override { files_.sync_filesystem(path_); }

 private:
  Files& files_;
  const fs::path path_;
};

}  // namespace

std::unique_ptr<Directory> open_linux_directory(const fs::path& path) {
  Descriptor fd = open_descriptor(path, directory_flags);
  if (fd.get() < 0) throw system_error("open the directory", path);
  return std::make_unique<LinuxDirectory>(std::move(fd), path);
}

std::unique_ptr<Directory> open_directory_by_path(Files& files, const fs::path& path) {
  const auto found = files.info_followed(path);
  if (!found || found->type != FileType::directory) throw system_error("open the directory", path, ENOENT);
  return std::make_unique<PathDirectory>(files, path);
}

void rename_new_at(int at, const fs::path& from, const fs::path& to, const fs::path& shown) {
  if (::renameat2(at, from.c_str(), at, to.c_str(), RENAME_NOREPLACE) == 0) return;
  // EINVAL: a file system without the flag. EPERM: a sandbox without the call, or no permission, which linkat tells.
  const int refusal = errno;
  if (refusal != EINVAL && refusal != ENOSYS && refusal != EPERM) throw system_error("rename", shown);
  if (::linkat(at, from.c_str(), at, to.c_str(), 0) != 0) {
    const bool has_no_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK;
    if (!has_no_links || refusal == EPERM) throw system_error("rename", shown);
    throw Error(ErrorKind::unsupported, "the file system cannot give a file a new name without replacing another file",
                escape_name(shown.native()), "write to another file system, or allow replacing");
  }
  if (::unlinkat(at, from.c_str(), 0) != 0 && errno != ENOENT) throw system_error("remove", from);
}

void check_replaceable(const FileInfo& found, const fs::path& path) {
  const std::string where = escape_name(path.native());
  switch (found.type) {
    case FileType::regular: return;
    case FileType::symlink:
      throw Error(ErrorKind::denied, "a symbolic link has the file's name", where,
                  "remove the link, or write to another directory");
    case FileType::directory:
      throw Error(ErrorKind::invalid, "a directory has the file's name", where,
                  "choose another name, or one in the directory");
    case FileType::other:
      throw Error(ErrorKind::invalid, "a pipe, device or socket has the file's name, and would be replaced", where,
                  "remove it, or choose another name");
  }
}

}  // namespace bale::os
