// File systems that fail: a power cut that takes what was not synced, and a disk that is full.
#pragma once

#include <sys/stat.h>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::testing {

namespace fs = std::filesystem;

/// Passes everything on to the real files. Thread-safe.
class ForwardingFiles : public os::Files {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const fs::path& path) override { return real_.open_if_exists(path); }
  std::unique_ptr<os::WritableFile> create(const fs::path& path) override { return real_.create(path); }
  std::unique_ptr<os::WritableFile> open_for_writing(const fs::path& path) override {
    return real_.open_for_writing(path);
  }
  void link(const fs::path& from, const fs::path& to) override { real_.link(from, to); }
  std::unique_ptr<os::FileLock> try_lock(const fs::path& path) override { return real_.try_lock(path); }
  void rename(const fs::path& from, const fs::path& to) override { real_.rename(from, to); }
  bool remove(const fs::path& path) override { return real_.remove(path); }
  std::vector<fs::path> make_directories(const fs::path& path) override { return real_.make_directories(path); }
  std::optional<os::FileInfo> info(const fs::path& path) override { return real_.info(path); }
  std::optional<os::FileInfo> info_followed(const fs::path& path) override { return real_.info_followed(path); }
  std::vector<os::DirectoryEntry> list(const fs::path& path) override { return real_.list(path); }
  void sync_directory(const fs::path& path) override { real_.sync_directory(path); }
  void sync_filesystem(const fs::path& path) override { real_.sync_filesystem(path); }
  void set_modified(const fs::path& path, TimePoint time) override { real_.set_modified(path, time); }

 protected:
  os::Files& real_ = os::system_files();
};

/// A machine whose power goes at the n-th sync: that sync and everything after it fails, and what the file system had
/// not been told to make durable is lost or scrambled. It promises no more than POSIX does: content is durable after a
/// sync of the file, a name after a sync of its directory, and each without the other. Thread-safe.
class PowerCutFiles final : public ForwardingFiles {
 public:
  /// `cut_at` counts syncs from 1; 0 is never. `seed` decides what of the unsynced survives.
  PowerCutFiles(std::uint64_t cut_at, unsigned seed) : cut_at_(cut_at), random_(seed) {}

  bool is_cut() const {
    const std::scoped_lock lock(mutex_);
    return cut_;
  }
  /// Leaves on disk what a restart would find. All files must be closed.
  void lose_unsynced() {
    const std::scoped_lock lock(mutex_);
    for (const auto& [path, parent] : new_names_) {
      std::error_code ignored;
      if (random_() % 2 == 0) fs::remove_all(path, ignored);
    }
    for (const fs::path& path : unsynced_content_) {
      std::error_code failed;
      const auto size = fs::file_size(path, failed);
      if (failed || size == 0) continue;
      if (random_() % 2 == 0) fs::resize_file(path, random_() % size);
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(size / 2));
      file << "scrambled";
    }
  }

  std::unique_ptr<os::WritableFile> create(const fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    check();
    auto file = real_.create(path);
    new_names_[path] = path.parent_path();
    unsynced_content_.insert(path);
    return std::make_unique<File>(*this, std::move(file), path);
  }
  std::unique_ptr<os::WritableFile> open_for_writing(const fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    check();
    return std::make_unique<File>(*this, real_.open_for_writing(path), path);
  }
  void link(const fs::path& from, const fs::path& to) override {
    const std::scoped_lock lock(mutex_);
    check();
    real_.link(from, to);
    new_names_[to] = to.parent_path();
    if (unsynced_content_.contains(from)) unsynced_content_.insert(to);
  }
  void rename(const fs::path& from, const fs::path& to) override {
    const std::scoped_lock lock(mutex_);
    check();
    real_.rename(from, to);
    new_names_.erase(from);
    new_names_[to] = to.parent_path();
    if (unsynced_content_.erase(from) != 0) unsynced_content_.insert(to);
  }
  bool remove(const fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    check();
    const bool removed = real_.remove(path);
    if (removed) {
      new_names_.erase(path);
      unsynced_content_.erase(path);
    }
    return removed;
  }
  std::vector<fs::path> make_directories(const fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    check();
    auto made = real_.make_directories(path);
    for (const fs::path& directory : made) new_names_[directory] = directory.parent_path();
    return made;
  }
  void sync_directory(const fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    count_sync();
    std::erase_if(new_names_, [&](const auto& name) { return name.second == path; });
  }
  void sync_filesystem(const fs::path&) override {
    const std::scoped_lock lock(mutex_);
    count_sync();
    new_names_.clear();
    unsynced_content_.clear();
  }
  std::unique_ptr<os::ReadableFile> open_if_exists(const fs::path& path) override {
    {
      const std::scoped_lock lock(mutex_);
      check();
    }
    return real_.open_if_exists(path);
  }

 private:
  class File final : public os::WritableFile {
   public:
    File(PowerCutFiles& files, std::unique_ptr<os::WritableFile> real, fs::path path)
        : files_(files), real_(std::move(real)), path_(std::move(path)) {}
    void write(ByteView bytes) override {
      change();
      real_->write(bytes);
    }
    void write_at(ByteCount offset, ByteView bytes) override {
      change();
      real_->write_at(offset, bytes);
    }
    void copy_from(os::ReadableFile& source, ByteCount from, ByteCount length, ByteCount to) override {
      change();
      real_->copy_from(source, from, length, to);
    }
    void extend_to(ByteCount size) override {
      change();
      real_->extend_to(size);
    }
    void sync() override {
      const std::scoped_lock lock(files_.mutex_);
      files_.count_sync();
      files_.unsynced_content_.erase(path_);
    }

   private:
    void change() {
      const std::scoped_lock lock(files_.mutex_);
      files_.check();
      files_.unsynced_content_.insert(path_);
    }
    PowerCutFiles& files_;
    std::unique_ptr<os::WritableFile> real_;
    fs::path path_;
  };

  void check() const {
    if (cut_) throw Error(ErrorKind::unavailable, "the power is gone");
  }
  void count_sync() {
    check();
    cut_ = ++syncs_ == cut_at_;
    check();
  }

  mutable std::mutex mutex_;
  const std::uint64_t cut_at_;
  std::mt19937 random_;
  std::uint64_t syncs_ = 0;
  bool cut_ = false;
  std::map<fs::path, fs::path> new_names_;  // with their directories
  std::set<fs::path> unsynced_content_;
};

/// A disk that has room for a number of writes and new names, and none for more until free() is called. Thread-safe.
class FullDiskFiles final : public ForwardingFiles {
 public:
  void fill_after(std::int64_t changes) { left_ = changes; }
  void free() { left_ = INT64_MAX; }
  bool was_full() const { return left_ <= 0; }

  std::unique_ptr<os::WritableFile> create(const fs::path& path) override {
    take();
    return std::make_unique<File>(*this, real_.create(path));
  }
  std::unique_ptr<os::WritableFile> open_for_writing(const fs::path& path) override {
    return std::make_unique<File>(*this, real_.open_for_writing(path));
  }
  void link(const fs::path& from, const fs::path& to) override {
    take();
    real_.link(from, to);
  }
  std::vector<fs::path> make_directories(const fs::path& path) override {
    take();
    return real_.make_directories(path);
  }

 private:
  class File final : public os::WritableFile {
   public:
    File(FullDiskFiles& files, std::unique_ptr<os::WritableFile> real) : files_(files), real_(std::move(real)) {}
    void write(ByteView bytes) override {
      files_.take();
      real_->write(bytes);
    }
    void write_at(ByteCount offset, ByteView bytes) override {
      files_.take();
      real_->write_at(offset, bytes);
    }
    void copy_from(os::ReadableFile& source, ByteCount from, ByteCount length, ByteCount to) override {
      files_.take();
      real_->copy_from(source, from, length, to);
    }
    void extend_to(ByteCount size) override { real_->extend_to(size); }
    void sync() override {
      files_.take();
      real_->sync();
    }

   private:
    FullDiskFiles& files_;
    std::unique_ptr<os::WritableFile> real_;
  };
  void take() {
    if (--left_ < 0) throw Error(ErrorKind::unavailable, "cannot write: No space left on device");
  }
  std::atomic<std::int64_t> left_{INT64_MAX};
};

}  // namespace bale::testing
