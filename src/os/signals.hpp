// Signals that ask the program to end, as a stop token.
#pragma once

#include <stop_token>

namespace bale::os {

/// Returns a token on which SIGINT, SIGTERM and SIGHUP request a stop. A second SIGINT or SIGTERM ends the process
/// immediately with status 128 + its number; SIGHUP never does, and stays ignored if it was at the start (nohup).
/// SIGPIPE is ignored; SIGQUIT ends the process with a core dump, as it does by default. Call before any thread starts.
std::stop_token stop_on_signals();

/// Ends the process without a word to its other threads: for when they wait for what may never come, and nothing is
/// left to be lost.
[[noreturn]] void end_at_once(int status) noexcept;

/// Returns the signal that requested the stop, or 0. Thread-safe.
int stop_signal() noexcept;

}  // namespace bale::os
