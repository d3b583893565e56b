#include "jobs/raw/source_change.hpp"

#include <fmt/format.h>

#include "base/time.hpp"

namespace bale::raw {

Change compare(const os::FileInfo& before, const std::optional<os::FileInfo>& after) noexcept {
  constexpr Milliseconds rounding{1};
  if (!after) return Change::gone;
  if (after->type != os::FileType::regular || after->size != before.size) return Change::content;
  if (after->device != before.device || after->inode != before.inode) return Change::content;
  const Milliseconds moved = after->modified - before.modified;
  if (moved > rounding || moved < -rounding) return Change::content;
  if (moved.count() != 0 || after->changed != before.changed) return Change::unclear;
  return Change::none;
}

std::string describe_change(const os::FileInfo& before, const os::FileInfo& after) {
  return fmt::format("changed while it was read: {} bytes, modified {}; now {} bytes, modified {}", before.size,
                     to_iso8601(before.modified), after.size, to_iso8601(after.modified));
}

}  // namespace bale::raw
