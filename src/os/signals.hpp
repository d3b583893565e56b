// SIGINT and SIGTERM as a stop token.
#pragma once

#include <stop_token>

namespace bale::os {

/// From the first call on, SIGINT and SIGTERM request a stop on this token; a second SIGINT ends the process at once
/// with status 130. Call before any thread is started. SIGPIPE is ignored from then on.
std::stop_token stop_on_signals();

/// Ends the process without a word to its other threads: for when they wait for what may never come, and nothing is
/// left to be lost.
[[noreturn]] void end_at_once(int status) noexcept;

/// The signal that requested the stop, or 0.
int stop_signal() noexcept;

}  // namespace bale::os
