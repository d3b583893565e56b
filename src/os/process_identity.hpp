// Which process this is, so that another process of the same machine can tell whether it still runs.
#pragma once

#include <cstdint>
#include <string>

#include "os/files.hpp"

namespace bale::os {

/// A process as other processes of its machine can find it.
struct ProcessIdentity {
  std::string host;      ///< name of the host, for people
  std::int64_t pid = 0;  ///< in its own process namespace
  /// Boot of the system and process namespace: equal for processes that see each other under these pids. Empty where
  /// the system does not tell.
  std::string machine;
  std::string started;  ///< start of the process in clock ticks since the boot; tells it from a later one of this pid
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Returns the identity of this process, out of `proc`, the directory where the system shows its processes (proc(5)).
/// Members that the system does not tell are empty or 0. Never throws for files that are missing. Thread-safe.
ProcessIdentity this_process(Files& files, const fs::path& proc = "/proc");

/// Returns true when the process has certainly ended: it is of this machine and process namespace, and no process has
/// its pid, or a process that started at another time. False in every doubt. Thread-safe.
bool has_ended(Files& files, const ProcessIdentity& process, const fs::path& proc = "/proc");

}  // namespace bale::os
