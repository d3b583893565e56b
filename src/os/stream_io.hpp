// Pipes, terminals and devices by their descriptors: no read and no write waits longer than it may.
#pragma once

#include <stop_token>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace bale::os {

/// How soon a request to stop is noticed where a descriptor is waited for.
inline constexpr Milliseconds stop_interval{50};

/// Waits until the descriptor is ready for `events` (poll(2)), or has failed, which the next call tells; at most
/// stop_interval. Returns whether it is.
bool wait_ready(int fd, short events, Milliseconds most = stop_interval) noexcept;

/// Returns how many bytes a write(2) takes without blocking when the descriptor is ready: of a pipe its capacity while
/// it is empty, else one page (pipe(7)).
std::size_t most_at_once(int fd) noexcept;

/// Reads the next bytes, at most bytes.size(), which is not 0. Returns their number; 0 at the end. Throws
/// Error{cancelled} once `stop` is requested: also at the end, which may have come of the same signal. Throws
/// Error{unavailable} when it fails; `name` completes "cannot read".
std::size_t read_stream(int fd, MutableBytes bytes, const std::stop_token& stop, const char* name);

/// Opens /dev/null in the place of each of the descriptors 0, 1 and 2 that is closed, so that no file or socket gets
/// their numbers, and what is meant for a standard stream. Reading a standard input that was closed fails (EBADF): its
/// end would be taken for the end of data. To be called before anything is opened.
void open_closed_standard_streams() noexcept;

}  // namespace bale::os
