// How many raw files the processes of one host upload at a time.
#pragma once

#include <memory>
#include <stop_token>

#include "os/clock.hpp"
#include "os/files.hpp"

namespace bale::raw {

/// Waits until one of `count` slots is free, and takes it: a claim on a file of `directory`, which is made where it is
/// missing. The slot is free again when the result is destroyed or its process ends. Looks once a second. Processes
/// that share the directory should have one `count`. Returns null for an empty directory, and where this user may not
/// use it: there is no limit then. Throws Error{cancelled} after
/// a stop, and errors of the file system. Thread-safe. Borrows all.
std::unique_ptr<os::FileLock> wait_for_slot(os::Files& files, os::Clock& clock, const os::fs::path& directory,
                                            std::size_t count, const std::stop_token& stop);

}  // namespace bale::raw
