// The journal of one backup while it runs: entries are read in order, noted as work is done, and folded at the end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "jobs/bucket/journal_files.hpp"
#include "os/world.hpp"

namespace bale::bucket {

/// What a journal is about. Two backups share a journal only if all of it is equal.
struct JournalIdentity {
  std::string source_service;  ///< "aws", or the address of the source's store
  std::string source;          ///< "s3://bucket/prefix"
  std::string destination;     ///< "s3://bucket/prefix"
  bool versions = false;       ///< of `backup --versions`

  std::string text() const;
  /// Returns a name for a folder: the source bucket, and digits of a digest of the text.
  std::string folder() const;
};

/// Reads and writes the journal: one file `base` in the order of names, and `segment-...` files of what was done since.
/// A file that is damaged is left out from the damaged block on, with a warning: what it knew is found out again.
/// note() and flush() are thread-safe; the rest is for one thread. Borrows all.
class JournalKeeper {
 public:
  using Warn = std::function<void(const std::string&)>;
  /// `files` null: nothing is known, and nothing is remembered.
  JournalKeeper(JournalFiles* files, JournalIdentity identity, os::World& world, Warn warn);

  /// Returns the entries of all files, in order; null where there is no journal. Throws Error{invalid} where the files
  /// are about other sides. Valid as long as this object.
  std::unique_ptr<EntrySequence> entries();

  /// Remembers an entry; its `noted` is set. Writes a segment when many have come together, or after some time. Throws
  /// nothing: a journal that cannot be written is given up after some attempts, with a warning.
  void note(JournalEntry entry);
  /// Writes what was noted and is not written. Throws what the store throws; the entries are kept then.
  void flush();
  /// Flushes, and merges all files into a new `base` if the segments have grown large beside it. Where another writer
  /// replaced `base` meanwhile, the segments stay.
  void fold();

 private:
  std::vector<JournalFile> known_files();
  std::unique_ptr<EntrySequence> open(const JournalFile& file);
  std::unique_ptr<EntrySequence> merge(const std::vector<JournalFile>& files);
  void write_segment(std::vector<JournalEntry> entries);

  JournalFiles* const files_;
  const std::string identity_;
  os::World& world_;
  const Warn warn_;
  const std::string run_;  ///< part of the names of this run's segments
  Mutex mutex_;
  std::vector<JournalEntry> noted_ BALE_GUARDED_BY(mutex_);
  std::uint64_t segments_ BALE_GUARDED_BY(mutex_) = 0;
  std::size_t failures_ BALE_GUARDED_BY(mutex_) = 0;  ///< of note() to write
  std::chrono::steady_clock::time_point flushed_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::bucket
