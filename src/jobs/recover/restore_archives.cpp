#include "jobs/recover/restore_archives.hpp"

#include <fmt/format.h>

#include <tuple>

#include "base/error.hpp"
#include "store/object_rules.hpp"

namespace bale::recover {
namespace {

constexpr std::string_view deep = "DEEP_ARCHIVE";

/// Smaller is sooner.
auto rank(const ArchiveCopy& copy) { return std::tuple(copy.access, copy.storage_class == deep); }

}  // namespace

Access access_of(const store::ObjectInfo& info) {
  if (info.restore.find("ongoing-request=\"true\"") != std::string::npos) return Access::coming;
  if (info.restore.find("ongoing-request=\"false\"") != std::string::npos) return Access::readable;
  return store::is_archive_class(info.storage_class) ? Access::asleep : Access::readable;
}

ArchiveCopy best_copy(store::ObjectStore& store, const std::vector<ObjectAddress>& copies) {
  ArchiveCopy best;
  if (!copies.empty()) best.address = copies.front();
  for (const ObjectAddress& address : copies) {
    const auto info = store.head(address);
    if (!info) continue;
    ArchiveCopy copy{address, access_of(*info), info->storage_class, info->size};
    if (best.access == Access::gone || rank(copy) < rank(best)) best = std::move(copy);
    if (best.access == Access::readable) break;
  }
  return best;
}

void ask_for(store::ObjectStore& store, const ArchiveCopy& copy, const ArchiveRequest& request) {
  if (request.tier == "Expedited" && copy.storage_class == deep) {
    throw Error(ErrorKind::invalid, "archives in DEEP_ARCHIVE cannot be had with the tier Expedited",
                to_uri(copy.address), "use --tier Standard (12 hours) or --tier Bulk (48 hours, the cheapest)");
  }
  try {
    store.restore(copy.address, request.days, request.tier);
  } catch (const Error& error) {
    if (error.code() == "RestoreAlreadyInProgress") return;
    if (error.code() == "GlacierExpeditedRetrievalNotAvailable")
      throw error.with_hint("there is no room for expedited requests now: try again later, or use --tier Standard");
    throw;
  }
}

std::string_view usual_wait(std::string_view storage_class, std::string_view tier) {
  const bool is_deep = storage_class == deep;
  if (tier == "Expedited") return is_deep ? "" : "1 to 5 minutes";
  if (tier == "Bulk") return is_deep ? "up to 48 hours" : "5 to 12 hours";
  return is_deep ? "up to 12 hours" : "3 to 5 hours";
}

}  // namespace bale::recover
