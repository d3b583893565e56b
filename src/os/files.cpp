#include "os/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

Error system_error(std::string_view doing, const fs::path& path, int code = errno) {
  const std::string what = fmt::format("cannot {}: {}", doing, std::generic_category().message(code));
  const std::string where = escape_name(path.native());
  switch (code) {
    case ENOENT:
    case ENOTDIR: return Error(ErrorKind::not_found, what, where);
    case EEXIST: return Error(ErrorKind::precondition, what, where);
    case EACCES:
    case EPERM:
    case EROFS: return Error(ErrorKind::denied, what, where, "check the permissions of the file and its directory");
    case ENOSPC:
    case EDQUOT:
      return Error(ErrorKind::unavailable, what, where, "free some space and run the command again; nothing was lost");
    case EISDIR:
    case ENAMETOOLONG: return Error(ErrorKind::invalid, what, where);
    default: return Error(ErrorKind::unavailable, what, where);
  }
}

/// An owned file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Descriptor open_descriptor(const fs::path& path, int flags, mode_t mode = 0) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return Descriptor(fd);
  }
}

void sync_descriptor(int fd, const fs::path& path) {
  // A failed fsync may have dropped the dirty pages: it is never repeated, the file is given up instead.
  if (::fsync(fd) != 0) throw system_error("make durable", path);
}

class LinuxReadableFile final : public ReadableFile {
 public:
  LinuxReadableFile(Descriptor fd, fs::path path, ByteCount size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}
  ByteCount size() const override { return size_; }
  int descriptor() const noexcept { return fd_.get(); }
  std::size_t read_at(ByteCount offset, MutableBytes bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got =
          ::pread(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw system_error("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  Descriptor fd_;
  fs::path path_;
  ByteCount size_;
};

class LinuxFileLock final : public FileLock {
 public:
  explicit LinuxFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

/// Errors with which copy_file_range says that these two files need another way.
bool cannot_copy_in_kernel(int code) {
  return code == EXDEV || code == ENOSYS || code == EOPNOTSUPP || code == EINVAL || code == EPERM || code == ETXTBSY;
}

/// Larger writes make Linux (6.16 and later on ext4, earlier on XFS) look for larger contiguous pages for its cache:
/// where memory is fragmented that costs several times the processor time of the copy itself. 400 files of 1 MB,
/// written and synced: 1.3 s in writes of 128 KiB and more, 0.2-0.3 s in writes of 64 KiB (docs/benchmarks.md).
constexpr std::size_t most_bytes_a_write = 64 << 10;

class LinuxWritableFile final : public WritableFile {
 public:
  LinuxWritableFile(Descriptor fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void write(ByteView bytes) override {
    write_at(position_, bytes);
    position_ += bytes.size();
  }
  void write_at(ByteCount offset, ByteView bytes) override {
    while (!bytes.empty()) {
      const std::size_t piece = std::min(bytes.size(), most_bytes_a_write);
      const ssize_t put = ::pwrite(fd_.get(), bytes.data(), piece, static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throw system_error("write", path_);
      offset += static_cast<ByteCount>(put);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
  }
  void write_past_cache(ByteCount offset, ByteView bytes) override {
    const bool aligned = offset % page_bytes == 0 && reinterpret_cast<std::uintptr_t>(bytes.data()) % page_bytes == 0;
    std::size_t whole = aligned ? bytes.size() / page_bytes * page_bytes : 0;
    while (whole > 0 && can_pass_cache()) {
      const ssize_t put = ::pwrite(direct_->get(), bytes.data(), whole, static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && errno == EINVAL) break;  // a file system that says only now that it cannot
      if (put < 0) throw system_error("write", path_);
      offset += static_cast<ByteCount>(put);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      whole -= static_cast<std::size_t>(put);
      if (whole % page_bytes != 0) break;  // the disk is nearly full: the rest says so, or goes the other way
    }
    write_at(offset, bytes);
  }
  void copy_from(ReadableFile& source, ByteCount from, ByteCount length, ByteCount to) override {
    const auto* linux_source = dynamic_cast<const LinuxReadableFile*>(&source);
    if (linux_source == nullptr) return WritableFile::copy_from(source, from, length, to);
    const ByteCount end = from + length;
    while (from < end) {
      // The next stretch of data; what is before it is a hole. Without SEEK_DATA the whole file is data.
      const off_t data = ::lseek(linux_source->descriptor(), static_cast<off_t>(from), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      const ByteCount start = data < 0 ? from : std::min<ByteCount>(end, static_cast<ByteCount>(data));
      const off_t hole = ::lseek(linux_source->descriptor(), static_cast<off_t>(start), SEEK_HOLE);
      const ByteCount stop = hole < 0 ? end : std::min<ByteCount>(end, static_cast<ByteCount>(hole));
      to += start - from;
      copy_stretch(source, linux_source->descriptor(), start, stop - start, to);
      to += stop - start;
      from = stop;
    }
    if (from < end) require_bytes(source, end);
    extend_to(to + (end - from));
  }
  void extend_to(ByteCount size) override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) throw system_error("inspect", path_);
    if (static_cast<ByteCount>(status.st_size) >= size) return;
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) throw system_error("extend", path_);
  }
  void sync() override { sync_descriptor(fd_.get(), path_); }

 private:
  void require_bytes(const ReadableFile& source, ByteCount end) const {
    if (source.size() < end) throw Error(ErrorKind::unavailable, "the file is shorter than expected", path_.native());
  }
  void copy_stretch(ReadableFile& source, int fd, ByteCount from, ByteCount length, ByteCount to) {
    while (length > 0) {
      auto in = static_cast<off_t>(from), out = static_cast<off_t>(to);
      const ssize_t copied = ::copy_file_range(fd, &in, fd_.get(), &out, length, 0);
      if (copied < 0 && errno == EINTR) continue;
      if (copied < 0 && cannot_copy_in_kernel(errno)) return WritableFile::copy_from(source, from, length, to);
      if (copied < 0) throw system_error("copy into", path_);
      if (copied == 0) throw Error(ErrorKind::unavailable, "the file is shorter than expected", path_.native());
      from += static_cast<ByteCount>(copied);
      to += static_cast<ByteCount>(copied);
      length -= static_cast<ByteCount>(copied);
    }
  }

  /// Opens the file once more, for writes that pass by the cache. Thread-safe.
  bool can_pass_cache() {
    std::call_once(direct_opened_, [this] {
      direct_.emplace(open_descriptor(fmt::format("/proc/self/fd/{}", fd_.get()), O_WRONLY | O_DIRECT));
    });
    return direct_->get() >= 0;
  }

  Descriptor fd_;
  fs::path path_;
  ByteCount position_ = 0;
  std::once_flag direct_opened_;
  std::optional<Descriptor> direct_;
};

/// A pipe or device: bytes go out in order, and are gone.
class LinuxStream final : public WritableFile {
 public:
  LinuxStream(Descriptor fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throw system_error("write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
  }
  void write_at(ByteCount, ByteView) override {
    throw Error(ErrorKind::unsupported, "only in order can be written here", escape_name(path_.native()));
  }
  void sync() override {}

 private:
  Descriptor fd_;
  fs::path path_;
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

FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::regular;
  if (S_ISDIR(mode)) return FileType::directory;
  if (S_ISLNK(mode)) return FileType::symlink;
  return FileType::other;
}

FileInfo file_info(const struct stat& status) {
  const auto modified = std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return FileInfo{.type = type_of(status.st_mode),
                  .size = static_cast<ByteCount>(status.st_size),
                  .modified = TimePoint(std::chrono::floor<std::chrono::milliseconds>(modified)),
                  .mode = status.st_mode & 07777,
                  .device = status.st_dev,
                  .inode = status.st_ino};
}

class LinuxFiles final : public Files {
 public:
  std::unique_ptr<ReadableFile> open_if_exists(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_RDONLY);
    if (fd.get() < 0) {
      if (errno == ENOENT || errno == ENOTDIR) return nullptr;
      throw system_error("open", path);
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw system_error("inspect", path);
    if (S_ISDIR(status.st_mode)) throw system_error("read", path, EISDIR);
    return std::make_unique<LinuxReadableFile>(std::move(fd), path, static_cast<ByteCount>(status.st_size));
  }

  std::unique_ptr<WritableFile> create(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd.get() < 0) throw system_error("create", path);
    return std::make_unique<LinuxWritableFile>(std::move(fd), path);
  }

  std::unique_ptr<WritableFile> open_for_writing(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_WRONLY);
    if (fd.get() < 0) throw system_error("open", path);
    return std::make_unique<LinuxWritableFile>(std::move(fd), path);
  }

  void link(const fs::path& from, const fs::path& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return;
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK)
      throw Error(ErrorKind::unsupported, "the file system has no hard links", to.native());
    throw system_error("link", to);
  }

  std::unique_ptr<FileLock> try_lock(const fs::path& path) override {
    Descriptor fd = open_descriptor(path, O_RDWR | O_CREAT, 0644);
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

  bool remove(const fs::path& path) override {
    if (::remove(path.c_str()) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENOTEMPTY || errno == EEXIST) return false;
    throw system_error("remove", path);
  }

  std::vector<fs::path> make_directories(const fs::path& path) override {
    if (::mkdir(path.c_str(), 0755) == 0) return {path};
    if (errno == EEXIST) {
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
      throw system_error("make the directory", path, EEXIST);
    }
    if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path)
      throw system_error("make the directory", path);
    std::vector<fs::path> made = make_directories(path.parent_path());
    // Once more and no further: below /proc the parent is there and the answer stays "no such directory".
    if (::mkdir(path.c_str(), 0755) == 0) {
      made.push_back(path);
    } else {
      const int code = errno;
      struct stat status {};
      const bool by_another = code == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      if (!by_another) throw system_error("make the directory", path, code);
    }
    return made;
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
      FileType type = FileType::other;
      if (entry->d_type == DT_REG)
        type = FileType::regular;
      else if (entry->d_type == DT_DIR)
        type = FileType::directory;
      else if (entry->d_type == DT_LNK)
        type = FileType::symlink;
      else if (entry->d_type == DT_UNKNOWN)
        type = info(path / name).value_or(FileInfo{.type = FileType::other}).type;
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
    if (::syncfs(fd.get()) != 0) throw system_error("make durable", path);
  }

  void set_modified(const fs::path& path, TimePoint time) override {
    const auto since_epoch = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    const timespec stamp{static_cast<time_t>(seconds.count()),
                         static_cast<long>(std::chrono::nanoseconds(since_epoch - seconds).count())};
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

  std::unique_ptr<WritableFile> open_stream(const fs::path& path) override {
    const std::optional<int> own = own_descriptor(path);
    Descriptor fd = own ? Descriptor(::fcntl(*own, F_DUPFD_CLOEXEC, 0)) : open_descriptor(path, O_WRONLY | O_NOCTTY);
    if (fd.get() < 0) throw system_error("open", path);
    return std::make_unique<LinuxStream>(std::move(fd), path);
  }
};

/// Unique among the temporary files of this process and, with the process id, among those of its contemporaries.
std::string temporary_suffix() {
  static std::atomic<std::uint64_t> next{0};
  return fmt::format(".{}-{}.bale-tmp", ::getpid(), next.fetch_add(1));
}

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

fs::path Files::resolve(const fs::path& path) { return path; }

bool Files::is_stream(const fs::path&) { return false; }

std::unique_ptr<WritableFile> Files::open_stream(const fs::path& path) {
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

fs::path place_of_new_file(Files& files, const fs::path& path, Links links) {
  const auto refuse = [&](const char* what, const char* hint) {
    return Error(ErrorKind::invalid, what, escape_name(path.native()), hint);
  };
  const auto found = files.info(path);
  if (!found || found->type == FileType::regular) return path;
  if (found->type == FileType::symlink && links == Links::refuse) {
    throw Error(ErrorKind::denied, "a symbolic link has the file's name", escape_name(path.native()),
                "remove the link, or write to another directory");
  }
  const auto behind = found->type == FileType::symlink ? files.info_followed(path) : found;
  if (!behind) throw refuse("a symbolic link that leads nowhere has the file's name", "remove the link");
  if (behind->type == FileType::directory)
    throw refuse("a directory has the file's name", "choose another name, or one in the directory");
  if (behind->type != FileType::regular) {
    throw refuse("a pipe, device or socket has the file's name, and would be replaced",
                 "remove it, or choose another name");
  }
  return files.resolve(path);
}

AtomicFile::AtomicFile(Files& files, const fs::path& path, Links links)
    : files_(files), path_(place_of_new_file(files, path, links)) {
  // The final name may already be as long as a name can be: the temporary one does not contain it.
  temporary_ = path_.parent_path() / temporary_suffix();
  for (int attempt = 0;; ++attempt) {
    try {
      file_ = files_.create(temporary_);
      return;
    } catch (const Error& error) {
      // Left by a dead process that had the same id.
      if (error.kind() != ErrorKind::precondition || attempt == 100) throw;
      temporary_ = path_.parent_path() / temporary_suffix();
    }
  }
}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  file_.reset();
  try {
    files_.remove(temporary_);
  } catch (const Error&) {
    // The failure that brought us here matters more; the name says whose file it is.
  }
}

void AtomicFile::commit_without_sync() {
  files_.rename(temporary_, path_);
  file_.reset();
}

void AtomicFile::commit() {
  file_->sync();
  commit_without_sync();
  files_.sync_directory(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

}  // namespace bale::os
