// Names of data files that may be left over if this process dies now.
//
// A data file gets its final name before the row that makes it an object is committed, and loses it after the row is
// gone. In between nobody may refer to it. Its name is therefore written here first; whoever opens the directory later
// and finds the journal of a dead process removes those files that no row names. A journal belongs to a living process
// as long as its file is locked.
//
// A database that was brought back from an older copy does not name the files of newer objects either. The journal of
// each writer therefore holds the number of its newest commit: a database whose own number is lower is such a copy.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/mutex.hpp"
#include "embedded/object_path.hpp"
#include "os/world.hpp"

namespace bale::embedded {

/// Returns a text that changes with every start of the machine (Linux: random(4)); empty if the system has no such
/// text.
std::string read_boot_id(os::Files& files);

/// Returns the highest number of a commit (WriteContext::next_sequence) that the journals in `directory` show, those of
/// living and of dead processes; 0 if there is none. Journals of an earlier Bale hold no number: of those, the writer's
/// own number counts as far as the file's name shows it (its last 20 bits). Throws as os::Files does.
std::int64_t newest_number_in_journals(os::Files& files, const os::fs::path& directory);

/// Thread-safe. Announcements borrow it.
class WriterJournal {
  struct Chapter;

 public:
  /// A name in doubt, until this is destroyed. Move-only.
  class Announcement {
   public:
    /// The file could not be removed: the next process that opens the directory shall.
    void leave_to_sweep() noexcept;

   private:
    friend class WriterJournal;
    explicit Announcement(std::shared_ptr<Chapter> chapter) : chapter_(std::move(chapter)) {}
    std::shared_ptr<Chapter> chapter_;
  };

  /// Journals of all processes are in `directory`, which exists. `number` is one that no other writer of the directory
  /// was given: file ids are unique through it, whatever the clock does.
  WriterJournal(os::World& world, os::fs::path directory, std::int64_t number);
  ~WriterJournal();

  /// A new unique part of a file name: time, this writer, a number.
  FileId new_file_id();
  /// Notes that the file at `path`, relative to the backend's directory, is in doubt from now on.
  /// Throws Error when the journal cannot be written.
  Announcement announce(const os::fs::path& path);
  /// Notes that a commit up to `number` is on stable storage. To be called before anybody hears of the commit. It is
  /// one small write in place, which is not synced. A failure is ignored: the journal then says less than is true.
  void note(std::int64_t number) noexcept;

  /// Reads the journals of dead processes: calls `resolve` with every name in them (names of files that no longer exist
  /// too; never a torn one), then removes the journals. Returns the number of journals.
  std::size_t sweep(const std::function<void(const os::fs::path&)>& resolve);
  /// Whether the machine was restarted since some dead process wrote its journal, the last of whose names may be lost.
  /// Known after sweep().
  bool machine_restarted() const noexcept { return machine_restarted_; }
  /// Returns the names in the journals of living processes, this one included: files that their owners are about to
  /// make objects of, or to remove.
  std::set<std::string> announced();

 private:
  std::shared_ptr<Chapter> new_chapter();
  std::string read(const os::fs::path& path) const;
  void sweep_journal(const os::fs::path& path, const std::function<void(const os::fs::path&)>& resolve);

  os::World& world_;
  const os::fs::path directory_;
  const std::string writer_;   // four characters
  const std::string boot_id_;  // of the running system; empty where there is none
  /// The newest number of a commit of this writer, at first that of the writer itself. Set under the mutex.
  const std::shared_ptr<std::atomic<std::int64_t>> number_;
  bool machine_restarted_ = false;
  Mutex mutex_;
  std::shared_ptr<Chapter> chapter_ BALE_GUARDED_BY(mutex_);
  std::uint64_t next_file_ BALE_GUARDED_BY(mutex_) = 0;
  std::int64_t last_time_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::embedded
