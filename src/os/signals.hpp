// Signals that ask the program to end, as a stop token.
#pragma once

#include <stop_token>

namespace bale::os {

/// Returns a token on which SIGINT, SIGTERM and SIGHUP request a stop. A second SIGINT or SIGTERM ends the process
/// with status 128 + its number: at once, or while a CleanUp exists when the last of them is gone, after two seconds at
/// most; a third ends it at once. SIGHUP never does, and stays ignored if it was at the start (nohup). SIGPIPE and
/// SIGXFSZ are ignored: the write that caused them fails. SIGQUIT ends the process with a core dump, as it does by
/// default. Call before any thread starts.
std::stop_token stop_on_signals();

/// Returns when every signal that was sent to the process before the call has requested its stop. Does nothing where
/// stop_on_signals() was not called. Thread-safe.
void notice_signals() noexcept;

/// Says, while it exists, that there is something outside of the process which has to be cleaned up before the process
/// ends, such as an upload under way. Thread-safe.
class CleanUp {
 public:
  CleanUp() noexcept;
  ~CleanUp();
  CleanUp(const CleanUp&) = delete;
  CleanUp& operator=(const CleanUp&) = delete;
};

/// Ends the process without a word to its other threads: for when they wait for what may never come, and nothing is
/// left to be lost.
[[noreturn]] void end_at_once(int status) noexcept;

/// Returns the signal that requested the stop, or 0. Thread-safe.
int stop_signal() noexcept;

}  // namespace bale::os
