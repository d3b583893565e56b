#include "jobs/recover/restore_archives.hpp"

#include <tuple>

namespace bale::recover {
namespace {

/// Smaller is sooner.
auto rank(const ArchiveCopy& copy) { return std::tuple(copy.access, copy.storage_class == "DEEP_ARCHIVE"); }

}  // namespace

ArchiveCopy best_copy(store::ObjectStore& store, const std::vector<ObjectAddress>& copies) {
  ArchiveCopy best;
  if (!copies.empty()) best.address = copies.front();
  for (const ObjectAddress& address : copies) {
    const auto info = store.head(address);
    if (!info) continue;
    ArchiveCopy copy{address, transfer::access_of(*info), info->storage_class, info->size};
    if (best.access == Access::absent || rank(copy) < rank(best)) best = std::move(copy);
    if (best.access == Access::readable) break;
  }
  return best;
}

}  // namespace bale::recover
