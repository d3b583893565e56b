#include "jobs/recover/restore_plan.hpp"

#include <map>
#include <utility>

#include "archive/member_name.hpp"

namespace bale::recover {
namespace {

/// The names that the object can have in its archive: the catalog's word for whose bytes they are is not enough.
std::vector<std::string> names_of(const catalog::Record& record) {
  std::string_view relative = record.object_path.str();
  const std::string prefix = record.source_prefix + "/";
  if (prefix.size() > 1 && relative.starts_with(prefix)) relative.remove_prefix(prefix.size());
  return archive::possible_member_names(relative);
}

}  // namespace

ByteCount ArchivePlan::range_bytes() const noexcept {
  ByteCount bytes = 0;
  for (const archive::LocatedRange& range : ranges) bytes += range.length;
  return bytes;
}

std::vector<ArchivePlan> plan_restore(const catalog::RecordList& records, const std::vector<std::size_t>& wanted,
                                      const archive::RangeLimits& limits, const catalog::ArchiveBuckets& buckets) {
  std::map<ObjectAddress, ArchivePlan> archives;
  for (const std::size_t index : wanted) {
    const catalog::Record record = records[index];
    std::vector<ObjectAddress> copies = buckets.places_of(record);
    ArchivePlan& plan = archives[copies.at(0)];
    if (plan.copies.empty()) plan.copies = std::move(copies);
    const bool is_placed = record.location && record.object_size;
    (is_placed ? plan.records : plan.unplaced).push_back(index);
  }
  std::vector<ArchivePlan> plans;
  for (auto& [address, plan] : archives) {
    std::vector<archive::LocatedObject> objects;  // places and sizes suffice
    for (const std::size_t index : plan.records)
      objects.push_back({*records.location(index), records.object_size(index).value(), {}, {}});
    plan.ranges = archive::plan_ranges(objects, limits);
    for (archive::LocatedRange& range : plan.ranges) {
      for (std::size_t& object : range.objects) object = plan.records[object];
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

archive::LocatedObject located(const catalog::Record& record) {
  return {*record.location, record.object_size.value(), record.sha256, names_of(record)};
}

}  // namespace bale::recover
