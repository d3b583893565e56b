// What a restore of a backup remembers between its runs: what was copied, requested, and waited for. A file of this
// machine: a restore needs no right to write to the backup. What is lost with it costs requests and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "jobs/bucket/journal.hpp"
#include "os/files.hpp"
#include "sqlite/database.hpp"

namespace bale::bucket {

/// An archived object whose bytes are awaited.
struct WaitingObject {
  std::string name;       ///< below the prefixes of both sides
  VersionId version;      ///< empty: the current one
  std::string after_key;  ///< the key before it in the listing: where a listing begins that is to find it
  ETag there;             ///< of the object in the destination that the copy replaces; empty: the key is free
};

/// The journal of one restore. Thread-safe. Every function throws as sqlite::Database does. Entries survive the death
/// of the process; a power cut may take the newest.
class RestoreJournal {
 public:
  /// Opens the file, making it, and its directory, where missing. `identity` names the two sides; an existing file of
  /// another restore is Error{invalid}.
  RestoreJournal(os::Files& files, const os::fs::path& file, const std::string& identity);

  /// Whether an earlier run got as far as to write to the destination.
  bool has_begun();
  void begin();

  /// Notes that a copy has the content of its source.
  void note_copied(const JournalEntry& entry);
  /// Returns what note_copied() was told, in the order of names, as it is now. Valid as long as the journal.
  std::unique_ptr<EntrySequence> copies();

  /// Notes that a restore was requested. Returns whether it had been requested before: it has expired since, then.
  bool note_requested(const std::string& name, const VersionId& version, TimePoint now);
  std::uint64_t requested();

  /// Adds an object, or replaces what is known of it.
  void await(const WaitingObject& object);
  void end_wait(const std::string& name);
  void forget_waiting();
  std::uint64_t waiting();
  /// Returns up to `most` objects in the order of names: the first ones, or those whose names are greater than `after`.
  std::vector<WaitingObject> waiting_after(const std::optional<std::string>& after, std::size_t most);

 private:
  const os::fs::path file_;
  Mutex mutex_;
  std::unique_ptr<sqlite::Database> database_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::bucket
