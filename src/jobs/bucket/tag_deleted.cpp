#include "jobs/bucket/tag_deleted.hpp"

namespace bale::bucket {

void check_marking(Marking& marking, Listed listed, const MarkLimit& limit,
                   const std::function<void(const std::string&)>& over_limit) {
  listed.to_mark = marking.to_mark();
  if (listed.to_mark > limit.of(listed.copies)) listed.to_mark = marking.count_unmarked();
  try {
    check_marks(listed, limit);
  } catch (const Error&) {
    marking.for_each_to_mark(over_limit);
    throw;
  }
}

TagCounts tag_deleted(const TagRequest& request, store::ObjectSequence& source, store::ObjectSequence& destination,
                      EntrySequence* journal, JournalKeeper& keeper, const Tools& tools, const MarkEvents& events,
                      const std::function<void(const std::string&)>& over_limit) {
  Difference difference({source, request.source.prefix}, {destination, request.destination.prefix}, journal);
  Marking marking(request.source, request.destination, keeper, tools, events);
  TagCounts counts;
  const auto check_stop = [&] {
    if (tools.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
  };
  while (const Pair* pair = difference.next()) {
    check_stop();
    if (request.is_wanted && !request.is_wanted(pair->name)) continue;
    if (pair->left != nullptr) ++counts.sources;
    if (pair->right != nullptr) ++counts.copies;
    if (pair->left == nullptr) ++counts.extra;
    marking.take(*pair, request.checks_marks);
    ++tools.progress.items_done;
  }
  const Listed listed{counts.sources, counts.copies, 0};
  check_source(listed, request.allow_empty_source);
  check_marking(marking, listed, request.limit, over_limit);
  counts.marks = marking.run(request.dryrun);
  check_stop();
  return counts;
}

}  // namespace bale::bucket
