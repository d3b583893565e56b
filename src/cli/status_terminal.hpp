// A terminal with one line at its bottom that stays there while other lines are written above it.
#pragma once

#include <string>
#include <string_view>

#include "base/mutex.hpp"
#include "os/terminal.hpp"

namespace bale::cli {

/// Passes text on to another terminal and redraws the status line below it, so that a log line never ends up inside a
/// progress line. Thread-safe. Removes the status line when destroyed.
class StatusTerminal final : public os::Terminal {
 public:
  /// `inner` is borrowed. The status is shown only if `wanted` and stderr is a terminal.
  StatusTerminal(os::Terminal& inner, bool wanted) : inner_(inner), shown_(wanted && inner.err_is_terminal()) {}
  ~StatusTerminal() override { set_status({}); }

  void out(std::string_view text) override;
  std::size_t in(MutableBytes bytes) override { return inner_.in(bytes); }
  void err(std::string_view text) override;
  bool err_is_terminal() const override { return inner_.err_is_terminal(); }
  bool out_is_terminal() const override { return inner_.out_is_terminal(); }
  int columns() const override { return inner_.columns(); }

  /// One line without control characters, no wider than columns(); empty: none.
  void set_status(std::string_view line);
  bool shows_status() const noexcept { return shown_; }

 private:
  /// Takes the status line off the screen.
  void erase() BALE_REQUIRES(mutex_);
  /// Puts it back.
  void draw() BALE_REQUIRES(mutex_);

  os::Terminal& inner_;
  const bool shown_;
  Mutex mutex_;
  std::string status_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cli
