// What this process uses of the machine.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/bytes.hpp"
#include "os/files.hpp"

namespace bale::os {

/// As the kernel counts; 0 where it tells nothing.
struct ProcessUse {
  ByteCount resident_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t threads = 0;
  std::chrono::duration<double> processor_time{};  ///< user and system, of all threads
};

/// Reads /proc/self (proc(5)). Never throws for files that are missing or unreadable. Thread-safe.
ProcessUse process_use(Files& files);

/// Processor time that the calling thread has used: how long work takes, whatever else the machine does. 0 where the
/// system does not tell. Thread-safe.
std::chrono::duration<double> thread_processor_time() noexcept;

}  // namespace bale::os
