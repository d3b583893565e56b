#include "jobs/raw/upload_slots.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace bale::raw {

std::unique_ptr<os::FileLock> wait_for_slot(os::Files& files, os::Clock& clock, const os::fs::path& directory,
                                            std::size_t count, const std::stop_token& stop) {
  constexpr Milliseconds between_looks{1000};
  if (directory.empty()) return nullptr;
  for (;;) {
    try {
      files.make_private_directories(directory);
      for (std::size_t i = 0; i < count; ++i)
        if (auto slot = files.try_lock(directory / fmt::format("slot-{}", i))) return slot;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::denied) throw;
      return nullptr;  // the slots are another user's
    }
    if (!clock.sleep_for(between_looks, stop))
      throw Error(ErrorKind::cancelled, "interrupted while other uploads of this host were waited for");
  }
}

}  // namespace bale::raw
