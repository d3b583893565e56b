// Catalog records in, verified objects out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "archive/located_range.hpp"
#include "base/error.hpp"
#include "catalog/archive_buckets.hpp"
#include "catalog/record_list.hpp"
#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/recover/restore_archives.hpp"
#include "jobs/recover/restore_destination.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::recover {

struct RestoreOptions {
  bool overwrite = false;  ///< replace what is there and different
  bool dryrun = false;
  std::size_t at_once = 16;            ///< ranges of archives that are read at once, as far as the memory budget allows
  archive::RangeLimits ranges;         ///< what is read together
  ArchiveRequest archives;             ///< what is done about archives that cannot be read at once
  catalog::ArchiveBuckets buckets;     ///< where archives may be read; a row that names no such place fails
  flow::Progress* progress = nullptr;  ///< borrowed; may be null
};

enum class RestoreFate {
  restored,
  same,     ///< it was there already
  waiting,  ///< its archive was asked for: to be restored by another run
  failed,
};

/// What became of one record.
struct RestoredObject {
  const catalog::Record* record = nullptr;                      ///< for as long as the call
  std::string destination;                                      ///< path or URI
  archive::NameChange name_change = archive::NameChange::none;  ///< of the path below a directory
  RestoreFate fate = RestoreFate::failed;
  ByteCount bytes_read = 0;  ///< compressed bytes of the archive that hold it, which it may share with others
  std::optional<Error> error;
};

/// Told while archives are waited for; both may be empty. One call at a time.
struct ArchiveEvents {
  std::function<void(const ArchiveCopy&)> asked;      ///< this archive was asked for (`dryrun`: would have to be)
  std::function<void(std::size_t archives)> waiting;  ///< so many cannot be read yet; 0: the wait is over
};

/// What was read, or would have to be read.
struct RestoreResult {
  std::uint64_t requests = 0;  ///< reads of archives
  ByteCount bytes_read = 0;
  std::size_t archives = 0;          ///< that hold what was wanted
  std::size_t archives_asked = 0;    ///< by this run
  std::size_t archives_waiting = 0;  ///< cannot be read yet: another run is needed
};

/// Restores records: reads neighbouring objects of an archive together (of another copy of it where one is gone,
/// damaged or archived), verifies the SHA-256 of each, and only then lets it take its name (a file is renamed into
/// place, an upload completed). What is there with the same content is left; what is there and different is kept unless
/// `overwrite`; a directory never gives way to a file, and no symbolic link is followed. One failing object does not
/// keep the others back. Archives that cannot be read at once are asked for and awaited as RestoreOptions::archives
/// says. `archives` gives the store that holds a record's archive; `done` is told of each object, one call at a time,
/// before files are durable: they are when run() returns. Everything is borrowed.
class Restore {
 public:
  Restore(std::function<store::ObjectStore&(const catalog::Record&)> archives, store::ObjectStore* destination,
          RestoreTarget target, RestoreOptions options, os::World& world, flow::Pools pools,
          flow::MemoryBudget& budget);

  /// Records must be of distinct keys. Throws Error{invalid} when two would get the same name, Error{cancelled} when it
  /// was stopped, and what os::is_of_whole_target() is true of, when the destination takes nothing any more: what was
  /// restored until then stays.
  RestoreResult run(const catalog::RecordList& records, const std::function<void(const RestoredObject&)>& done,
                    const ArchiveEvents& events = {});

 private:
  std::function<store::ObjectStore&(const catalog::Record&)> archives_;
  store::ObjectStore* destination_;
  const RestoreTarget target_;
  const RestoreOptions options_;
  os::World& world_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
};

}  // namespace bale::recover
