// The newest number of a store, kept beside its database: it tells a database that was brought back from an older copy.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/mutex.hpp"
#include "os/files.hpp"

namespace bale::embedded {

/// A file that holds the highest number (WriteContext::next_sequence) of the commits that are on stable storage. Every
/// writer of the store has a slot of its own in it, of 64; the highest slot counts. The file is written after each such
/// commit and never synced: a number that is lost in a power cut makes it say less than is true, never more.
/// Thread-safe.
class NewestNumber {
 public:
  NewestNumber(os::Files& files, os::fs::path file) : files_(files), path_(std::move(file)) {}

  /// Returns the highest number in the file, 0 if it has none; absent where there is no file.
  std::optional<std::int64_t> read() const;
  /// Opens the slot of a writer, which was given the number `writer`. Throws as os::Files does.
  void begin(std::int64_t writer);
  /// Notes that `number` is committed. Does nothing before begin(). A failure is ignored: the file then says less than
  /// is true.
  void note(std::int64_t number) noexcept;

 private:
  os::Files& files_;
  const os::fs::path path_;
  Mutex mutex_;
  std::unique_ptr<os::WritableFile> file_ BALE_GUARDED_BY(mutex_);
  ByteCount offset_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::embedded
