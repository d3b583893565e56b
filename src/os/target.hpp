// Whether a destination can be written to at all.
#pragma once

#include <optional>

#include "base/error.hpp"
#include "os/files.hpp"

namespace bale::os {

/// Returns whether every other write to the same file system would fail likewise: the disk is full (ENOSPC),
/// the quota is used up (EDQUOT), or the file system is read-only (EROFS).
bool is_of_whole_target(const Error& error) noexcept;

/// Writes a small file to `target`, a directory, or where that is missing to the nearest directory above it, and
/// removes it again. Throws, naming `target`, the Error that is_of_whole_target() is true of, and nothing else: whether
/// a single file can be written shows when it is. For before much is read to be written there. `files` is borrowed.
void try_target(Files& files, const fs::path& target);

/// Returns the present time by the clock of the file system of `target` (a file server has its own), in whole
/// milliseconds: the time of a file that is made and removed again in the directory, or where that is missing in the
/// nearest directory above it. Absent where none can be made. `files` is borrowed.
std::optional<TimePoint> file_system_time(Files& files, const fs::path& target);

}  // namespace bale::os
