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

/// Returns the identity of this process. Members that the system does not tell are empty or 0. Thread-safe.
ProcessIdentity this_process(Files& files);

/// Returns true when the process has certainly ended: it is of this host, boot and process namespace, and no process
/// has its pid, or one that started at another time, or one that only waits to be reaped. False in every doubt.
/// Thread-safe.
bool has_ended(Files& files, const ProcessIdentity& process);

}  // namespace bale::os
