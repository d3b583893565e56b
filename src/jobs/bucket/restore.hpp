// The restore of a backup into another bucket: what is there is copied in the store, what is archived is requested
// first and copied when it can be read, in this run or in another.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "flow/adaptive_limit.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/bucket/difference.hpp"
#include "jobs/bucket/glacier.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/restore_journal.hpp"
#include "jobs/bucket/restore_sequence.hpp"
#include "jobs/bucket/tools.hpp"
#include "transfer/copy.hpp"

namespace bale::bucket {

/// What is restored, and how.
struct RestoreOptions {
  bool include_deleted = false;                          ///< also what is marked as deleted
  std::optional<TimePoint> as_of;                        ///< the state at this time, by versions and marks
  std::function<bool(std::string_view name)> is_wanted;  ///< by name below the prefix; absent: everything
  Tier tier = Tier::standard;
  int days = 7;                            ///< how long restored copies of archived objects stay readable
  std::string storage_class = "STANDARD";  ///< of the copies
  bool with_tags = true;                   ///< false: tags are neither read nor written; only with include_deleted
  bool overwrite = false;                  ///< replace objects of the destination that differ
  bool dryrun = false;                     ///< change nothing, and request nothing
  bool has_destination = true;             ///< false: the bucket is yet to be made; only in a dry run
  bool through_program = false;  ///< the destination cannot copy from the backup: bytes pass through this process
  bool tells_restores = false;   ///< see readiness_of()
  std::optional<std::uint64_t> most_objects;  ///< copy at most so many in this run
  std::optional<double> most_dollars;         ///< request restores of at most this price; absent: without a limit
  Milliseconds most_poll{15 * 60 * 1000};     ///< between two looks at what is waited for
};

/// What happened to one object.
enum class RestoreFate {
  restored,
  same,        ///< there already
  deleted,     ///< left out: it is marked as deleted
  requested,   ///< its restore was requested now
  waiting,     ///< its restore is in progress
  over_limit,  ///< its restore was not requested: it would have cost more than most_dollars
  gone,        ///< it was listed, and is not there any more
  failed,
};

struct RestoredObject {
  RestoreFate fate = RestoreFate::failed;
  ObjectAddress from, to;
  VersionId version;  ///< of the source; empty: the current one
  ByteCount size = 0;
  std::string storage_class;
  std::optional<Archive> archive;  ///< of what is requested or waited for
  bool is_again = false;           ///< requested: an earlier request of this restore has expired
  const Error* error = nullptr;    ///< of what failed; valid during the call
};

/// How far a restore is. Raised by any thread.
struct RestoreCounts {
  std::atomic<std::uint64_t> restored{0}, same{0}, deleted{0}, requested{0}, requested_again{0}, waiting{0},
      over_limit{0}, gone{0}, failed{0}, tag_failures{0};
  std::atomic<std::uint64_t> objects{0};  ///< of the backup, as listed
  std::atomic<std::uint64_t> newer{0};    ///< left out: written after the time that was asked for
  std::atomic<ByteCount> bytes{0};        ///< restored
};

/// What a restore would do, as far as listings tell: an upper bound, since they tell no marks.
struct RestorePlan {
  std::uint64_t objects = 0;  ///< of the backup
  std::uint64_t to_copy = 0;  ///< without those that have to be requested first
  ByteCount bytes_to_copy = 0;
  double copy_dollars = 0;  ///< of all copies
  std::uint64_t same = 0;
  std::uint64_t coming = 0;     ///< archived, with a restore in progress
  std::uint64_t unsettled = 0;  ///< only a HEAD tells whether they can be read
  RestoreEstimate archived;

  std::uint64_t left() const noexcept { return to_copy + coming + unsettled + archived.objects(); }
};

/// Told of single objects, by any thread, one call at a time.
using RestoreListener = std::function<void(const RestoredObject&)>;

/// What a restore works with, besides the tools of every job. Borrowed.
struct RestoreTools {
  const Tools& tools;
  flow::AdaptiveLimit& limit;  ///< of objects that are worked on at once
  flow::ThreadPool& listing;   ///< requests of listings
  std::size_t listers = 1;     ///< of them at once for one listing
  RestoreJournal* journal;     ///< null in a dry run of a restore that never ran
};

/// A restore. Its functions are called by one thread, which must not be one of the pools'. They throw what the
/// listings throw, Error{corrupt} for a listing that is out of order, and Error{cancelled} after a stop; the failures
/// of single objects go to the listener.
class BucketRestore {
 public:
  /// Borrows the stores of both sides, and the tools.
  BucketRestore(Side backup, Side destination, RestoreOptions options, RestoreTools tools, RestoreListener listener);

  /// Returns what there is to do: by listings alone, both sides once.
  RestorePlan plan();
  /// Throws Error{denied} where the tags of the backup cannot be read, on which everything else depends: tries it on
  /// one object. Servers without tags pass.
  void probe_tags();
  /// Goes through the whole backup once: copies what can be read, and requests the rest.
  void pass();
  /// Waits until something that is awaited may be readable, longer after each call in a row without success, and looks
  /// at the awaited objects alone: copies what can be read, and requests again what has expired. Returns whether
  /// anything is left to wait for.
  bool poll();

  const RestoreCounts& counts() const noexcept { return counts_; }
  /// Objects that are awaited now.
  std::uint64_t waiting() const;
  /// Restores that were requested, or would be in a dry run.
  RestoreEstimate requested() const;

 private:
  /// One object of the backup that is not known to be in the destination.
  struct Task {
    std::string name;
    VersionId version;
    std::string after_key;  ///< see WaitingObject
    ETag etag;              ///< as listed, and so the others
    ByteCount size = 0;
    TimePoint modified{};
    std::string storage_class;
    std::optional<ETag> there;  ///< of what the destination has
    bool is_judged = true;      ///< false: only a HEAD of both sides tells whether they are the same
    bool may_replace = false;
    bool is_awaited = false;
  };
  std::unique_ptr<BackupSequence> whole_backup() const;
  std::unique_ptr<BackupSequence> backup_from(const std::string& after_key) const;
  std::unique_ptr<store::ObjectSequence> destination() const;
  ListedPlace place(const Side& side) const;
  const os::World& world() const { return tools_.tools.world; }
  bool is_wanted(std::string_view name) const;
  void check_stop() const;
  Task task_of(std::string_view name, const store::ListedObject& listed, const VersionId& version,
               std::string after_key) const;
  bool consider(const Pair& pair, Task& task);
  class Workers;
  void run(const Task& task);
  void settle(const Task& task, int attempt = 1);
  bool is_same_by_content(const Task& task);
  /// Returns the tags of the copy; absent where the object is left out, as its tags say.
  std::optional<store::Tags> tags_to_keep(const Task& task, const store::ObjectInfo& info);
  void restore_readable(const Task& task, const store::ObjectInfo& info, const store::Tags& tags, int attempt);
  bool is_written_by_another(const Task& task, const store::ObjectInfo& info, const Error& error);
  void copy(const Task& task, const store::ObjectInfo& info, const store::Tags& tags);
  store::PutResult send(const Task& task, const store::ObjectInfo& info, const transfer::CopyOptions& how) const;
  void request(const Task& task, Archive archive, ByteCount size);
  bool take_dollars(Archive archive, ByteCount size);
  void await(const Task& task, std::optional<Archive> archive, RestoreFate fate, bool is_again = false);
  void tell(const Task& task, RestoreFate fate, std::optional<Archive> archive = {}, const Error* error = nullptr,
            bool is_again = false);
  void poll_some(const std::vector<WaitingObject>& objects, Workers& workers);

  const Side backup_, destination_;
  const RestoreOptions options_;
  const RestoreTools tools_;
  RestoreCounts counts_;
  std::uint64_t started_ = 0;  ///< copies, for most_objects
  Milliseconds wait_{0};       ///< before the next look
  Mutex listener_mutex_;
  const RestoreListener listener_ BALE_GUARDED_BY(listener_mutex_);  ///< one call at a time
  mutable Mutex mutex_;
  RestoreEstimate requested_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::bucket
