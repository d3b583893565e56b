// Marks on copies whose sources were deleted: found in a pass over both listings, set when that pass has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "jobs/bucket/brakes.hpp"
#include "jobs/bucket/difference.hpp"
#include "jobs/bucket/journal_keeper.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"

namespace bale::bucket {

/// What became of the marks.
struct MarkCounts {
  std::uint64_t marked = 0;    ///< newly
  std::uint64_t unmarked = 0;  ///< the source is back
  std::uint64_t before = 0;    ///< copies that were marked already
  std::uint64_t failed = 0;
  std::uint64_t left = 0;  ///< for the next run: there are more than fit into memory
};

/// Told of each mark. Called by any thread.
struct MarkEvents {
  enum class Kind { mark, unmark };
  std::function<void(Kind, const std::string& name)> done;  ///< set or removed; in a dry run, would be
  std::function<void(const std::string& name, const Error&)> failed;
};

/// The names that a pass over both listings found, and the work on them. take() is for one thread. Borrows all.
class Marking {
 public:
  Marking(const Side& source, const Side& destination, JournalKeeper& journal, const Tools& tools, MarkEvents events);
  ~Marking();
  Marking(const Marking&) = delete;
  Marking& operator=(const Marking&) = delete;

  /// Takes a pair of the difference: a copy without source is to be marked, a marked copy with a source is to be
  /// unmarked. `examines_all`: a copy with a source is looked at even where the journal does not say that it is marked.
  /// `current`: what the journal is to hold of the copy, where that is not pair.known.
  void take(const Pair& pair, bool examines_all = false, const JournalEntry* current = nullptr);
  /// How many copies have no source and are not known to be marked.
  std::uint64_t to_mark() const noexcept { return to_mark_; }

  /// Reads the tags of the copies to be marked, and returns how many of them are not marked already.
  std::uint64_t count_unmarked();
  /// Calls `take` with the name of each copy to be marked, in order.
  void for_each_to_mark(const std::function<void(const std::string&)>& take);
  /// Does the work. With `dryrun` it tells the events, and changes nothing. Returns when all is done or stopped.
  MarkCounts run(bool dryrun);

 private:
  struct Counters;
  void work(const JournalEntry& entry, bool dryrun) noexcept;
  void tell_failure(const std::string& name, const Error& error) noexcept;
  void mark(const JournalEntry& entry, bool dryrun);
  void unmark(const JournalEntry& entry, bool dryrun);
  bool change_tags(const ObjectAddress& copy, const store::Tags& seen, const store::Tags& wanted);
  void note(JournalEntry entry, std::optional<TimePoint> marked);
  std::unique_ptr<EntrySequence> spooled();
  void for_each_at_once(const std::function<void(const JournalEntry&)>& work);

  const Side& source_;
  const Side& destination_;
  JournalKeeper& journal_;
  const Tools& tools_;
  const MarkEvents events_;
  std::string spool_;  ///< entries of names to work on, as a journal file in memory
  std::unique_ptr<JournalWriter> writer_;
  bool is_finished_ = false;
  std::uint64_t to_mark_ = 0;
  std::unique_ptr<Counters> counters_;
  Mutex mutex_;
  std::optional<Error> fatal_ BALE_GUARDED_BY(mutex_);  ///< of an event
};

}  // namespace bale::bucket
