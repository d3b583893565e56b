// Open files of Linux by their descriptors: what the implementations of Files and Directory share. Internal to os/.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::os {

/// Returns the Error that a failed system call means. `doing` completes "cannot ..."; `code` is its errno.
Error system_error(std::string_view doing, const fs::path& path, int code = errno);

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

/// Opens `path` relative to the directory `at` with O_CLOEXEC, again after EINTR. The descriptor is negative on
/// failure, and errno says why.
Descriptor open_descriptor_at(int at, const fs::path& path, int flags, mode_t mode = 0);
inline Descriptor open_descriptor(const fs::path& path, int flags, mode_t mode = 0) {
  return open_descriptor_at(AT_FDCWD, path, flags, mode);
}

/// Calls fsync. Throws Error{unavailable}.
void sync_descriptor(int fd, const fs::path& path);
/// Calls syncfs. Throws Error{unavailable}.
void sync_filesystem_of(int fd, const fs::path& path);

/// Returns a file for reading. `path` is for messages. Throws Error{invalid} for a directory or pipe.
std::unique_ptr<ReadableFile> make_readable_file(Descriptor fd, const fs::path& path);
/// Returns a regular file for writing at any place.
std::unique_ptr<WritableFile> make_writable_file(Descriptor fd, const fs::path& path);
/// Returns a pipe or device, which takes bytes in order only, as Files::open_stream() does.
std::unique_ptr<WritableFile> make_stream(Descriptor fd, const fs::path& path, std::stop_token stop);

FileInfo file_info(const struct stat& status);
/// Returns what a directory stream says of its next entry; `other` also stands for an unknown type.
FileType type_of_entry(unsigned char type);
/// Returns the time of a stat, rounded down to whole milliseconds.
TimePoint to_time_point(const timespec& time);
/// Returns the time as utimensat takes it.
timespec to_timespec(TimePoint time);

}  // namespace bale::os
