#include "os/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"
#include "os/directory.hpp"
#include "os/linux_file.hpp"
#include "os/stream_io.hpp"

namespace bale::os {
namespace {

class LinuxFileLock final : public FileLock {
 public:
  explicit LinuxFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

/// The descriptor of this process that the path names, through links too ("/dev/stdout" leads to "/proc/self/fd/1").
/// Opening such a path anew would begin at the start of the file behind it, and write over what is there.
std::optional<int> own_descriptor(fs::path path) {
  constexpr int most_links = 40;  // as many as the kernel follows
  for (int i = 0; i < most_links; ++i) {
    const std::string directory = path.parent_path().native();
    const std::string name = path.filename().native();
    const bool number = !name.empty() && name.size() < 9 && name.find_first_not_of("0123456789") == std::string::npos;
    if (number && (directory == "/dev/fd" || directory == "/proc/self/fd")) {
      const int fd = std::stoi(name);
      return ::fcntl(fd, F_GETFD) < 0 ? std::nullopt : std::optional<int>(fd);
    }
    std::string target(PATH_MAX, '\0');
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) return std::nullopt;
    target.resize(static_cast<std::size_t>(length));
    path = path.parent_path() / target;
  }
  return std::nullopt;
}

/// Opens a pipe or device for writing. A pipe that nobody reads is tried again until somebody does (ENXIO, fifo(7)): an
/// open that waits could not be ended by a stop.
Descriptor open_with_reader(const fs::path& path, const std::stop_token& stop) {
  for (;;) {
    Descriptor fd = open_descriptor(path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    if (fd.get() >= 0 || errno != ENXIO) return fd;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISFIFO(status.st_mode)) throw system_error("open", path, ENXIO);
    if (!system_clock().sleep_for(stop_interval / 2, stop))
      throw Error(ErrorKind::cancelled, "interrupted while nobody read the pipe", escape_name(path.native()));
  }
}

class LinuxFiles final : public Files {
 public:
  std::unique_ptr<ReadableFile> open_if_exists(const fs::path& path) override {
    // O_NONBLOCK: without it, open() waits for a process that writes to the pipe.
    Descriptor fd = open_descriptor(path, O_RDONLY | O_NONBLOCK);
    if (fd.get() < 0) {
      if (errno == ENOENT || errno == ENOTDIR) return nullptr;
      throw system_error("open", path);
    }
    return make_readable_file(std::move(fd), path);
  }

  std::unique_ptr<WritableFile> create(const fs::path& path) override { return create_with(path, 0644); }

  std::unique_ptr<WritableFile> create_private(const fs::path& path) override { return create_with(path, 0600); }

  std::unique_ptr<WritableFile> open_for_writing(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_WRONLY);
    if (fd.get() < 0) throw system_error("open", path);
    return make_writable_file(std::move(fd), path);
  }

  void link(const fs::path& from, const fs::path& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return;
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK)
      throw Error(ErrorKind::unsupported, "the file system has no hard links", to.native());
    throw system_error("link", to);
  }

  std::unique_ptr<FileLock> try_lock(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_RDWR | O_CREAT, 0600);
    if (fd.get() < 0) throw system_error("open", path);
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return nullptr;
      if (errno != EINTR) throw system_error("lock", path);
    }
    return std::make_unique<LinuxFileLock>(std::move(fd));
  }

  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) throw system_error("rename", to);
  }

  void rename_new(const fs::path& from, const fs::path& to) override { rename_new_at(AT_FDCWD, from, to, to); }

  std::unique_ptr<Directory> open_directory(const fs::path& path) override { return open_linux_directory(path); }

  bool remove(const fs::path& path) override {
    if (::remove(path.c_str()) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENOTEMPTY || errno == EEXIST) return false;
    throw system_error("remove", path);
  }

  std::vector<fs::path> make_directories(const fs::path& path) override { return make_directories_with(path, 0755); }

  std::vector<fs::path> make_private_directories(const fs::path& path) override {
    return make_directories_with(path, 0700);
  }

  void set_mode(const fs::path& path, std::uint32_t mode) override {
    if (::chmod(path.c_str(), mode) != 0) throw system_error("set the permissions of", path);
  }

  std::optional<FileInfo> info(const fs::path& path) override {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) return file_info(status);
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error("inspect", path);
  }

  std::optional<FileInfo> info_followed(const fs::path& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return file_info(status);
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
    throw system_error("inspect", path);
  }

  std::vector<DirectoryEntry> list(const fs::path& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) throw system_error("list", path);
    std::vector<DirectoryEntry> entries;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const FileType type = entry->d_type == DT_UNKNOWN
                                ? info(path / name).value_or(FileInfo{.type = FileType::other}).type
                                : type_of_entry(entry->d_type);
      entries.push_back({name, type});
      errno = 0;
    }
    if (errno != 0) throw system_error("list", path);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  void sync_directory(const fs::path& path) override {
    const Descriptor fd = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (fd.get() < 0) throw system_error("open", path);
    sync_descriptor(fd.get(), path);
  }

  void sync_filesystem(const fs::path& path) override {
    const Descriptor fd = open_descriptor(path, O_RDONLY);
    if (fd.get() < 0) throw system_error("open", path);
    sync_filesystem_of(fd.get(), path);
  }

  ByteCount free_bytes(const fs::path& path) override {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) throw system_error("ask for the free space of", path);
    return ByteCount{status.f_bavail} * status.f_frsize;
  }

  void set_modified(const fs::path& path, TimePoint time) override {
    const timespec stamp = to_timespec(time);
    const timespec times[2] = {stamp, stamp};
    if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      throw system_error("set the time of", path);
  }

  fs::path resolve(const fs::path& path) override {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &::free);
    if (!real) throw system_error("follow the link", path);
    return real.get();
  }

  bool is_stream(const fs::path& path) override {
    if (own_descriptor(path)) return true;
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
  }

  std::unique_ptr<WritableFile> open_stream(const fs::path& path, std::stop_token stop) override {
    const std::optional<int> own = own_descriptor(path);
    Descriptor fd = own ? Descriptor(::fcntl(*own, F_DUPFD_CLOEXEC, 0)) : open_with_reader(path, stop);
    if (fd.get() < 0) throw system_error("open", path);
    return make_stream(std::move(fd), path, std::move(stop));
  }

 private:
  static std::unique_ptr<WritableFile> create_with(const fs::path& path, mode_t mode) {
    Descriptor fd = open_descriptor(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd.get() < 0) throw system_error("create", path);
    return make_writable_file(std::move(fd), path);
  }

  static std::vector<fs::path> make_directories_with(const fs::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {path};
    if (errno == EEXIST) {
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
      throw system_error("make the directory", path, EEXIST);
    }
    if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path)
      throw system_error("make the directory", path);
    std::vector<fs::path> made = make_directories_with(path.parent_path(), mode);
    // Once more and no further: below /proc the parent is there and the answer stays "no such directory".
    if (::mkdir(path.c_str(), mode) == 0) {
      made.push_back(path);
    } else {
      const int code = errno;
      struct stat status {};
      const bool by_another = code == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      if (!by_another) throw system_error("make the directory", path, code);
    }
    return made;
  }
};

}  // namespace

void WritableFile::copy_from(ReadableFile& source, ByteCount from, ByteCount length, ByteCount to) {
  constexpr std::size_t block_bytes = 64 << 10;  // a whole block of zeros stays a hole
  Buffer block(block_bytes);
  while (length > 0) {
    block.resize(static_cast<std::size_t>(std::min<ByteCount>(length, block_bytes)));
    const std::size_t got = source.read_at(from, {block.data(), block.size()});
    if (got != block.size()) throw Error(ErrorKind::unavailable, "the file is shorter than expected");
    const bool zero = std::all_of(block.data(), block.data() + got, [](std::byte b) { return b == std::byte{0}; });
    length -= got;
    if (!zero || length == 0) write_at(to, block.view());  // the last block gives the file its length
    from += got;
    to += got;
  }
}

namespace {

/// Bytes of zeros at the start of `bytes`, in whole pages of a file in which `bytes` begin at `offset`.
std::size_t leading_zero_pages(ByteView bytes) {
  std::size_t zeros = 0;
  while (bytes.size() - zeros >= page_bytes) {
    const std::byte* const page = bytes.data() + zeros;
    if (page[0] != std::byte{0} || std::memcmp(page, page + 1, page_bytes - 1) != 0) break;
    zeros += page_bytes;
  }
  return zeros;
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

ByteCount write_leaving_holes(WritableFile& file, ByteCount offset, ByteView bytes, std::size_t least_hole,
                              bool past_cache) {
  ByteCount end = offset;
  std::size_t begin = 0;  // of what is to be written
  const auto write_to = [&](std::size_t to) {
    if (to == begin) return;
    const ByteView data = bytes.subspan(begin, to - begin);
    if (past_cache)
      file.write_past_cache(offset + begin, data);
    else
      file.write_at(offset + begin, data);
    end = offset + to;
  };
  // Zeros in the first and the last page, which other bytes share, stay unwritten too: the page may be a hole yet.
  std::size_t at = std::min<std::size_t>(bytes.size(), (page_bytes - offset % page_bytes) % page_bytes);
  if (is_zero(bytes.first(at))) begin = at;
  while (bytes.size() - at >= page_bytes) {
    const std::size_t zeros = leading_zero_pages(bytes.subspan(at));
    if (zeros >= least_hole) {
      write_to(at);
      begin = at + zeros;
    }
    at += std::max(zeros, page_bytes);
  }
  write_to(is_zero(bytes.subspan(at)) ? at : bytes.size());
  return end;
}

void WritableFile::set_mode(std::uint32_t) {}
void WritableFile::limit_mode(std::uint32_t) {}

void WritableFile::write_out(ByteCount, ByteCount) {}

void WritableFile::extend_to(ByteCount) { throw Error(ErrorKind::unsupported, "these files cannot be extended"); }

std::unique_ptr<WritableFile> Files::open_for_writing(const fs::path& path) {
  throw Error(ErrorKind::unsupported, "these files cannot be written in place", path.native());
}

void Files::link(const fs::path&, const fs::path& to) {
  throw Error(ErrorKind::unsupported, "these files cannot have two names", to.native());
}

std::unique_ptr<FileLock> Files::try_lock(const fs::path& path) {
  throw Error(ErrorKind::unsupported, "these files cannot be locked", path.native());
}

void Files::rename_new(const fs::path& from, const fs::path& to) {
  link(from, to);
  remove(from);
}

std::unique_ptr<Directory> Files::open_directory(const fs::path& path) { return open_directory_by_path(*this, path); }

std::unique_ptr<WritableFile> Files::create_private(const fs::path& path) {
  auto file = create(path);
  set_mode(path, 0600);
  return file;
}

std::vector<fs::path> Files::make_private_directories(const fs::path& path) {
  std::vector<fs::path> made = make_directories(path);
  for (const fs::path& directory : made) set_mode(directory, 0700);
  return made;
}

void Files::set_mode(const fs::path&, std::uint32_t) {}

fs::path Files::resolve(const fs::path& path) { return path; }

ByteCount Files::free_bytes(const fs::path&) { return std::numeric_limits<ByteCount>::max(); }

bool Files::is_stream(const fs::path&) { return false; }

std::unique_ptr<WritableFile> Files::open_stream(const fs::path& path, std::stop_token) {
  throw Error(ErrorKind::unsupported, "these files are no streams", path.native());
}

std::unique_ptr<ReadableFile> Files::open(const fs::path& path) {
  auto file = open_if_exists(path);
  if (!file) throw system_error("open", path, ENOENT);
  return file;
}

Files& system_files() {
  static LinuxFiles files;
  return files;
}

std::string read_text_file(Files& files, const fs::path& path, ByteCount most) {
  const auto file = files.open(path);
  const auto too_large = [&](ByteCount size) {
    return Error(ErrorKind::invalid,
                 fmt::format("the file has {} or more; at most {} are read", format_bytes(size), format_bytes(most)),
                 path.native());
  };
  if (file->size() > most) throw too_large(file->size());
  // The size is a guess: files of /proc and /sys say 0. One byte more than the guess shows whether it was right.
  std::string text(file->size() + 1, '\0');
  std::size_t done = 0;
  for (;;) {
    done += file->read_at(done, std::as_writable_bytes(std::span(text).subspan(done)));
    if (done < text.size()) break;
    if (done > most) throw too_large(done);
    text.resize(std::min<ByteCount>(std::max<std::size_t>(2 * text.size(), 4096), most + 1));
  }
  text.resize(done);
  return text;
}

void write_file_atomically(Files& files, const fs::path& path, ByteView content) {
  AtomicFile file(files, path);
  file.file().write(content);
  file.commit();
}

fs::path place_of_new_file(Files& files, const fs::path& path) {
  const auto found = files.info(path);
  if (!found) return path;
  if (found->type != FileType::symlink) {
    check_replaceable(*found, path);
    return path;
  }
  const auto behind = files.info_followed(path);
  if (!behind) {
    throw Error(ErrorKind::invalid, "a symbolic link that leads nowhere has the file's name",
                escape_name(path.native()), "remove the link");
  }
  check_replaceable(*behind, path);
  return files.resolve(path);
}

}  // namespace bale::os
