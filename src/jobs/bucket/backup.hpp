// The backup of a bucket: what is missing or changed is copied, and copies without source are marked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "flow/adaptive_limit.hpp"
#include "jobs/bucket/brakes.hpp"
#include "jobs/bucket/compare.hpp"
#include "jobs/bucket/copier.hpp"
#include "jobs/bucket/cost.hpp"
#include "jobs/bucket/journal_keeper.hpp"
#include "jobs/bucket/marking.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"

namespace bale::bucket {

struct BackupRequest {
  Side source, destination;
  CopyRules copies;
  ListedRules listed;
  bool copies_all = false;   ///< every object is copied, none is compared
  bool tag_deleted = false;  ///< copies without source are marked at the end
  bool allow_empty_source = false;
  MarkLimit mark_limit;
  std::optional<std::uint64_t> max_objects;  ///< copies that are begun
  std::optional<ByteCount> max_bytes;        ///< of copies that are begun
  bool dryrun = false;
  NameFilter is_wanted;
};

/// Why an object is copied.
enum class CopyReason {
  missing,    ///< there is no copy
  changed,    ///< the copy has another content
  rewritten,  ///< the source was written again with the same content: headers or metadata may be others
  unproven,   ///< nothing shows that the copy has the content of the source
  asked,      ///< by a report, or by copies_all
};
std::string_view to_string(CopyReason reason) noexcept;

/// What is to be done with a name that the source has, as far as listings and journal tell.
struct Decision {
  enum class Action {
    none,     ///< the copy is current
    copy,     ///< see `reason`
    note,     ///< the copy is current, and the journal does not know it yet
    compare,  ///< a HEAD of both sides decides
  };
  Action action = Action::none;
  CopyReason reason = CopyReason::missing;
  Origin origin = Origin::etag;  ///< with `note`
};
/// Pure. `pair` has a left side.
Decision decide(const Pair& pair, const ListedRules& rules);

/// Told of what happens, by any thread.
struct BackupEvents {
  /// Copied, or in a dry run to be copied; `bytes` as far as they are known.
  std::function<void(const std::string& name, CopyReason, ByteCount bytes)> copied;
  std::function<void(const std::string& name, const Error&)> failed;
  MarkEvents marks;
  /// A copy that would be marked, had the limit not stopped the run.
  std::function<void(const std::string& name)> over_limit;
};

struct BackupCounts {
  std::uint64_t sources = 0, destinations = 0;  ///< objects listed
  ByteCount source_bytes = 0;
  std::uint64_t current = 0;  ///< copies that are what their sources are
  std::uint64_t copied = 0;
  ByteCount copied_bytes = 0;
  std::uint64_t missing = 0, changed = 0;  ///< among the copied: there was no copy, there was another one
  std::uint64_t gone = 0;                  ///< deleted at the source before they could be copied
  std::uint64_t extra = 0;                 ///< copies without source
  std::uint64_t failed = 0;
  std::uint64_t tags_not_read = 0;  ///< copied without tags
  bool is_at_limit = false;         ///< max_objects or max_bytes ended the run
  MarkCounts marks;
  StorageEstimate storage;  ///< of what was copied, or would be
};

/// One backup. Used once, by one thread. Borrows all.
class Backup {
 public:
  Backup(const BackupRequest& request, JournalKeeper& journal, flow::AdaptiveLimit& limit, const Tools& tools,
         BackupEvents events);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  /// Compares two listings and copies. Throws Error when a listing fails, before any mark is set, and after the copies
  /// under way have ended: counts() and the journal hold what was done. Error{cancelled} after a stop.
  void run(store::ObjectSequence& source, store::ObjectSequence& destination, EntrySequence* journal);
  /// Copies the objects whose names `next` gives until nullopt, without listing anything.
  void run_names(const std::function<std::optional<std::string>()>& next);
  BackupCounts counts() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace bale::bucket
