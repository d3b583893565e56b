#include "os/linux_file.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <system_error>

#include "base/text.hpp"
#include "os/stream_io.hpp"

namespace bale::os {
namespace {

/// Files in /proc/sys refuse a read of more than the kernel allocates in one piece (4 MiB) with ENOMEM, however short
/// they are.
constexpr std::size_t most_bytes_a_read_of_proc = 64 << 10;

/// Whether bytes can pass by the page cache (O_DIRECT).
bool is_on_pages(ByteCount offset, const void* bytes) {
  return offset % page_bytes == 0 && reinterpret_cast<std::uintptr_t>(bytes) % page_bytes == 0;
}

/// A file opened once more, when it is first needed, for bytes that pass by the page cache. Thread-safe.
class DirectDescriptor {
 public:
  /// `fd` is of the file, `mode` O_RDONLY or O_WRONLY. Returns whether the file system can do it.
  bool is_open(int fd, int mode) {
    std::call_once(opened_,
                   [&] { direct_.emplace(open_descriptor(fmt::format("/proc/self/fd/{}", fd), mode | O_DIRECT)); });
    return direct_->get() >= 0;
  }
  int get() const noexcept { return direct_->get(); }

 private:
  std::once_flag opened_;
  std::optional<Descriptor> direct_;
};

class LinuxReadableFile final : public ReadableFile {
 public:
  LinuxReadableFile(Descriptor fd, fs::path path, ByteCount size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}
  ByteCount size() const override { return size_; }
  int descriptor() const noexcept { return fd_.get(); }
  std::size_t read_at(ByteCount offset, MutableBytes bytes) override {
    std::size_t done = 0, most = bytes.size();
    while (done < bytes.size()) {
      const ssize_t got = ::pread(fd_.get(), bytes.data() + done, std::min(most, bytes.size() - done),
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == ENOMEM && most > most_bytes_a_read_of_proc) {
        most = most_bytes_a_read_of_proc;
        continue;
      }
      if (got < 0) throw system_error("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  void drop_cached() override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }  // advice: may be ignored
  std::size_t read_past_cache(ByteCount offset, MutableBytes bytes) override {
    std::size_t done = 0;
    std::size_t whole = is_on_pages(offset, bytes.data()) ? bytes.size() / page_bytes * page_bytes : 0;
    while (whole > done && direct_.is_open(fd_.get(), O_RDONLY)) {
      const ssize_t got = ::pread(direct_.get(), bytes.data() + done, whole - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EINVAL) break;  // a file system that says only now that it cannot
      if (got < 0) throw system_error("read", path_);
      done += static_cast<std::size_t>(got);
      if (got == 0 || done % page_bytes != 0) return done;  // the end of the file
    }
    if (done == bytes.size()) return done;
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset + done), static_cast<off_t>(bytes.size() - done),
                    POSIX_FADV_DONTNEED);
    return done + read_at(offset + done, bytes.subspan(done));
  }

 private:
  Descriptor fd_;
  fs::path path_;
  ByteCount size_;
  DirectDescriptor direct_;
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
    std::size_t whole = is_on_pages(offset, bytes.data()) ? bytes.size() / page_bytes * page_bytes : 0;
    while (whole > 0 && direct_.is_open(fd_.get(), O_WRONLY)) {
      const ssize_t put = ::pwrite(direct_.get(), bytes.data(), whole, static_cast<off_t>(offset));
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
  void set_mode(std::uint32_t mode) override { change_mode(present_mode(), mode & 0777); }
  void limit_mode(std::uint32_t mode) override {
    const mode_t present = present_mode();
    change_mode(present, present & mode & 0777);
  }
  void sync() override { sync_descriptor(fd_.get(), path_); }
  void write_out(ByteCount offset, ByteCount length) override {
    constexpr unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const auto from = static_cast<off_t>(offset), size = static_cast<off_t>(length);
    // A file system without pages of its own has nothing to write out (ESPIPE, EINVAL); sync() tells what fails.
    if (::sync_file_range(fd_.get(), from, size, all) != 0 && errno != ESPIPE && errno != EINVAL && errno != ENOSYS)
      throw system_error("write", path_);
    ::posix_fadvise(fd_.get(), from, size, POSIX_FADV_DONTNEED);
  }

 private:
  mode_t present_mode() const {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) throw system_error("inspect", path_);
    return status.st_mode & 07777;
  }
  void change_mode(mode_t present, mode_t wanted) {
    if (wanted == present || ::fchmod(fd_.get(), wanted) == 0) return;
    // The file is this process's own: a file system that refuses has no such bits (vfat, some of FUSE).
    const bool has_no_bits = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
    if (!has_no_bits) throw system_error("set the permissions of", path_);
  }
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

  Descriptor fd_;
  fs::path path_;
  ByteCount position_ = 0;
  DirectDescriptor direct_;
};

/// A pipe or device: bytes go out in order, and are gone.
class LinuxStream final : public WritableFile {
 public:
  LinuxStream(Descriptor fd, fs::path path, std::stop_token stop)
      : fd_(std::move(fd)), path_(std::move(path)), stop_(std::move(stop)) {}
  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      while (!wait_ready(fd_.get(), POLLOUT)) {
        if (stop_.stop_requested())
          throw Error(ErrorKind::cancelled, "interrupted while nobody read what was written",
                      escape_name(path_.native()));
      }
      const ssize_t put = ::write(fd_.get(), bytes.data(), std::min(bytes.size(), most_at_once(fd_.get())));
      if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
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
  std::stop_token stop_;
};

FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::regular;
  if (S_ISDIR(mode)) return FileType::directory;
  if (S_ISLNK(mode)) return FileType::symlink;
  return FileType::other;
}

}  // namespace

Error system_error(std::string_view doing, const fs::path& path, int code) {
  const std::string what = fmt::format("cannot {}: {}", doing, std::generic_category().message(code));
  const std::string where = escape_name(path.native());
  switch (code) {
    case ENOENT:
    case ENOTDIR: return Error(ErrorKind::not_found, what, where);
    case EEXIST: return Error(ErrorKind::precondition, what, where);
    case EACCES:
    case EPERM: return Error(ErrorKind::denied, what, where, "check the permissions of the file and its directory");
    case EROFS:
      return Error(ErrorKind::denied, what, where,
                   "write to another place, or mount this one writable, and run the command again")
          .with_code("EROFS");
    case ENOSPC:
    case EDQUOT:
      return Error(ErrorKind::unavailable, what, where, "free some space and run the command again; nothing was lost")
          .with_code(code == ENOSPC ? "ENOSPC" : "EDQUOT");
    case EFBIG:
      return Error(ErrorKind::denied, what, where,
                   "raise `ulimit -f`, or write to a file system that takes such files");
    case EISDIR:
    case ENAMETOOLONG: return Error(ErrorKind::invalid, what, where);
    default: return Error(ErrorKind::unavailable, what, where);
  }
}

Descriptor open_descriptor_at(int at, const fs::path& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::openat(at, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return Descriptor(fd);
  }
}

void sync_descriptor(int fd, const fs::path& path) {
  // A failed fsync may have dropped the dirty pages: it is never repeated, the file is given up instead.
  if (::fsync(fd) != 0) throw system_error("make durable", path);
}

void sync_filesystem_of(int fd, const fs::path& path) {
  if (::syncfs(fd) != 0) throw system_error("make durable", path);
}

std::unique_ptr<ReadableFile> make_readable_file(Descriptor fd, const fs::path& path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw system_error("inspect", path);
  if (S_ISDIR(status.st_mode)) throw system_error("read", path, EISDIR);
  if (S_ISFIFO(status.st_mode)) {
    throw Error(ErrorKind::invalid, "this is a pipe, which cannot be read at an offset", escape_name(path.native()),
                "write the output of the pipe to a file, and name that file");
  }
  return std::make_unique<LinuxReadableFile>(std::move(fd), path, static_cast<ByteCount>(status.st_size));
}

std::unique_ptr<WritableFile> make_writable_file(Descriptor fd, const fs::path& path) {
  return std::make_unique<LinuxWritableFile>(std::move(fd), path);
}

std::unique_ptr<WritableFile> make_stream(Descriptor fd, const fs::path& path, std::stop_token stop) {
  return std::make_unique<LinuxStream>(std::move(fd), path, std::move(stop));
}

TimePoint to_time_point(const timespec& time) {
  const auto exact = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  return TimePoint(std::chrono::floor<std::chrono::milliseconds>(exact));
}

FileInfo file_info(const struct stat& status) {
  return FileInfo{.type = type_of(status.st_mode),
                  .size = static_cast<ByteCount>(status.st_size),
                  .modified = to_time_point(status.st_mtim),
                  .changed = to_time_point(status.st_ctim),
                  .mode = status.st_mode & 07777,
                  .device = status.st_dev,
                  .inode = status.st_ino};
}

FileType type_of_entry(unsigned char type) {
  switch (type) {
    case DT_REG: return FileType::regular;
    case DT_DIR: return FileType::directory;
    case DT_LNK: return FileType::symlink;
    default: return FileType::other;
  }
}

timespec to_timespec(TimePoint time) {
  const auto since_epoch = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  return {static_cast<time_t>(seconds.count()),
          static_cast<long>(std::chrono::nanoseconds(since_epoch - seconds).count())};
}

}  // namespace bale::os
