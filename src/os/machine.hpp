// What this process may use of the machine: memory and processors, as containers limit them.
#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "os/files.hpp"

namespace bale::os {

/// Memory that the process may use, in bytes: the least of the machine's (MemTotal of /proc/meminfo) and the limits of
/// the process's control group and the groups above it (cgroup v2 memory.max, v1 memory.limit_in_bytes). 0 when the
/// system tells nothing. Never throws for files that are missing or unreadable. Thread-safe.
/// https://docs.kernel.org/admin-guide/cgroup-v2.html
ByteCount usable_memory(Files& files);

/// Processors that the process may use at once, at least 1: the least of its affinity mask (sched_getaffinity) and,
/// rounded up, the quota of its control groups (cgroup v2 cpu.max, v1 cpu.cfs_quota_us). Thread-safe.
std::size_t usable_cores(Files& files);

/// Raises the limit of open file descriptors (the soft one of RLIMIT_NOFILE) as far as the process may, to 65,536 at
/// most. To be called before threads start.
void raise_descriptor_limit() noexcept;
/// Returns how many file descriptors the process may have open. Thread-safe.
std::size_t descriptor_limit() noexcept;

/// Bounds what the C library's allocator keeps of freed memory. Buffers above 4 MiB are taken from the system and given
/// back one by one: the library would otherwise raise that size to the largest buffer freed, and keep all smaller ones.
/// Threads share as many arenas as there are cores (2 to 8) instead of eight a core. Without this a process takes twice
/// its memory limit. To be called before threads start.
void bound_allocator() noexcept;

}  // namespace bale::os
