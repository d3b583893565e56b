// What the stores, queues and tables of one directory share.
#pragma once

#include <condition_variable>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/mutex.hpp"
#include "embedded/commit_queue.hpp"
#include "embedded/data_files.hpp"
#include "embedded/database.hpp"
#include "embedded/lost_files.hpp"
#include "embedded/newest_number.hpp"
#include "embedded/store_clock.hpp"
#include "embedded/writer_journal.hpp"
#include "os/world.hpp"

namespace bale::embedded {

/// The file of the directory that everything but objects' bytes is in.
inline constexpr const char* database_name = "bale.sqlite";

/// A file of the store that is there while the database is known to be older than the files, until they are moved.
inline constexpr const char* older_database_mark = "older-database";

/// Whether a directory has what may be the files of a store's objects.
bool has_object_files(os::Files& files, const os::fs::path& directory);

/// Connections for reading: one for each reader at a time, so that nobody waits for a writer. Thread-safe.
class ReaderPool {
 public:
  /// `stop` ends waits for other processes.
  ReaderPool(os::fs::path file, std::stop_token stop) : file_(std::move(file)), stop_(std::move(stop)) {}

  /// A connection on loan.
  class Reader {
   public:
    Reader(ReaderPool& pool, std::unique_ptr<Database> database) : pool_(pool), database_(std::move(database)) {}
    ~Reader() { pool_.give_back(std::move(database_)); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    Database* operator->() noexcept { return database_.get(); }
    Database& operator*() noexcept { return *database_; }

   private:
    ReaderPool& pool_;
    std::unique_ptr<Database> database_;
  };
  Reader borrow();

 private:
  void give_back(std::unique_ptr<Database> database) noexcept;
  const os::fs::path file_;
  const std::stop_token stop_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Database>> idle_ BALE_GUARDED_BY(mutex_);
};

/// Wakes whoever waits for messages. Thread-safe.
class ReceiverSignal {
 public:
  void notify();
  /// Waits for notify() since `seen` was read, at most `most`, or until `stop`. Returns the new count.
  std::uint64_t wait(std::uint64_t seen, Milliseconds most, const std::stop_token& stop);
  std::uint64_t count();

 private:
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t count_ BALE_GUARDED_BY(mutex_) = 0;
};

/// Thread-safe, apart from its making.
struct Core {
  /// Makes the directory and the tables where they are missing, and sweeps what dead processes left. `stop` ends waits
  /// for other processes.
  Core(const os::fs::path& directory, os::World& outside, const std::stop_token& stop);

  os::World& world;
  DataFiles files;
  ReaderPool readers;
  ReceiverSignal receivers;
  StoreClock time;
  NewestNumber newest;
  std::int64_t writer = 0;   ///< the number of this process as a writer
  bool has_journal = false;  ///< set before anything but the making of `journal` commits
  CommitQueue commits;
  /// Whether it is known that the database is not older than the files: not where there is no
  /// `newest-number`, as in the store of an earlier Bale.
  bool is_age_known = true;
  WriterJournal journal;
  LostFiles lost;

 private:
  std::int64_t start(const os::fs::path& journals);
};

/// Where the data of a bucket's objects are, relative to the directory.
os::fs::path bucket_directory(const BucketName& bucket);
/// Where the parts of an upload are, relative to the directory.
os::fs::path upload_directory(const UploadId& upload);

}  // namespace bale::embedded
