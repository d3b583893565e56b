// The backup of all versions of a bucket, in their order, delete markers included.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "flow/adaptive_limit.hpp"
#include "jobs/bucket/compare.hpp"
#include "jobs/bucket/copier.hpp"
#include "jobs/bucket/journal_keeper.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"
#include "store/listing.hpp"

namespace bale::bucket {

/// ETag in the journal of a copy that is a delete marker.
inline constexpr const char* marker_etag = "delete-marker";

/// Returns the index of the first version of the source that the destination does not have; source.size() where it has
/// all. Versions of one key, the oldest first. `known`: what the journal remembers of the newest version that was
/// copied, or null. The destination keeps its versions: what it has comes before what is copied. Without a journal,
/// versions are the same where both are delete markers, or have equal sizes and ETags. Pure.
std::size_t first_to_copy(const std::vector<store::ListedVersion>& source,
                          const std::vector<store::ListedVersion>& copies, const JournalEntry* known);

struct VersionRequest {
  Side source, destination;
  CopyRules copies;
  bool dryrun = false;
  NameFilter is_wanted;
};

/// Told of what happens, by any thread.
struct VersionEvents {
  /// A version was copied, or would be; a delete marker was made.
  std::function<void(const std::string& name, const store::ListedVersion& version)> copied;
  std::function<void(const std::string& name, const Error&)> failed;
};

struct VersionCounts {
  std::uint64_t keys = 0, versions = 0;  ///< of the source
  std::uint64_t current = 0;             ///< keys of which nothing was to be copied
  std::uint64_t copied = 0, markers = 0;
  ByteCount bytes = 0;
  std::uint64_t gone = 0, failed = 0;
};

/// Copies the versions of the source that the destination does not have. Versions of one key go one after the other,
/// the oldest first; keys go several at once. A version that fails ends its key for this run. Deletions of versions are
/// not repeated. Throws Error{precondition} where the destination keeps no versions, and when a listing fails, after
/// what is under way has ended; Error{cancelled} after a stop. `counts` is current when it throws. Borrows all.
void back_up_versions(const VersionRequest& request, store::VersionSequence& source,
                      store::VersionSequence& destination, EntrySequence* journal, JournalKeeper& keeper,
                      flow::AdaptiveLimit& limit, const Tools& tools, const VersionEvents& events,
                      VersionCounts& counts);

}  // namespace bale::bucket
