// Marks on copies whose sources were deleted, without copying anything.
#pragma once

#include "jobs/bucket/compare.hpp"
#include "jobs/bucket/marking.hpp"

namespace bale::bucket {

struct TagRequest {
  Side source, destination;
  bool allow_empty_source = false;
  MarkLimit limit;
  /// Tags of every copy whose source is there are read too, to find marks that the journal does not know.
  bool checks_marks = false;
  bool dryrun = false;
  NameFilter is_wanted;
};

struct TagCounts {
  std::uint64_t sources = 0, copies = 0;
  std::uint64_t extra = 0;  ///< copies without source
  MarkCounts marks;
};

/// Compares two listings, then marks copies without source, and removes the marks of copies whose source is back.
/// `over_limit` is told the names that would be marked where the limit stops the run. Throws Error when a listing fails
/// or a brake holds, before any tag is changed; Error{cancelled} after a stop. Borrows all.
TagCounts tag_deleted(const TagRequest& request, store::ObjectSequence& source, store::ObjectSequence& destination,
                      EntrySequence* journal, JournalKeeper& keeper, const Tools& tools, const MarkEvents& events,
                      const std::function<void(const std::string&)>& over_limit);

/// Throws Error{precondition} where more copies would be marked than the limit allows, after `over_limit` was told
/// their names. Copies that are marked already do not count: where the journal does not know them, their tags are read.
void check_marking(Marking& marking, Listed listed, const MarkLimit& limit,
                   const std::function<void(const std::string&)>& over_limit);

}  // namespace bale::bucket
