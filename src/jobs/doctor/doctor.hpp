// A store that Bale has never seen: what works on it, what does not, and what that means.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "jobs/doctor/finding.hpp"
#include "jobs/doctor/ground.hpp"
#include "jobs/doctor/leftovers.hpp"

namespace bale::doctor {

struct CheckupOptions {
  bool dryrun = false;           ///< only what reads is tried; for the rest it is said what would be
  bool probes = true;            ///< false: access and leftover uploads are looked at, and nothing else
  std::string leftovers_prefix;  ///< uploads whose keys start with it are looked at
  /// Leftover uploads of this age or older are ended; absent: none.
  std::optional<Milliseconds> abort_older_than;
};

/// Who is told, from the thread that examine() runs on. What they throw ends the checkup, cleaned up.
struct Listener {
  std::function<void(const char* probe)> begins;  ///< before each probe
  std::function<void(const Finding&)> found;
  std::function<void(const Aborted&)> aborted;
  /// With true before what the probes wrote is removed, also after a stop, and with false behind it. Must not throw.
  std::function<void(bool begins)> cleaning_up = [](bool) {};
};

struct CheckupResult {
  std::uint64_t ok = 0, limited = 0, failed = 0, skipped = 0;  ///< findings
  std::uint64_t aborted = 0, not_aborted = 0;                  ///< leftover uploads (dryrun: that would be)
  ByteCount aborted_bytes = 0;                                 ///< of their parts, as far as they are known
  std::string ground;                                          ///< the prefix that the probes wrote below
  /// Whether all that Bale needs works, and all was aborted that should be.
  bool is_sound() const noexcept { return failed == 0 && not_aborted == 0; }
};

/// Runs every probe, the way jobs/doctor/probes.hpp has them, and then looks for leftover uploads. What the probes
/// wrote is gone when it returns or throws; if that cannot be, a finding `cleanup` says what is left. A probe that
/// fails does not keep the others from running. Stops between two probes when the world's stop is requested, cleans up,
/// and throws Error{cancelled}. Throws Error{not_found} NoSuchBucket, and what the store says when it answers no
/// listing at all: nothing was written then. Blocks; borrows everything until it returns.
CheckupResult examine(const Place& place, const CheckupOptions& options, const Listener& listener);

}  // namespace bale::doctor
