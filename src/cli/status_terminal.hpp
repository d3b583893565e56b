// A terminal with one line at its bottom that stays there while other lines are written above it.
#pragma once

#include <string>
#include <string_view>

#include "base/mutex.hpp"
#include "os/terminal.hpp"

namespace bale::cli {

/// The one place through which a command writes text. Escapes control characters, wherever the text came from, and
/// hides secrets of URLs in errors and logs. Passes text on to another terminal and redraws the status line below it,
/// so that a log line never ends up inside a progress line. Thread-safe. Removes the status line when destroyed.
class StatusTerminal final : public os::Terminal {
 public:
  /// What is written: decides how control characters are escaped.
  enum class Kind { text, json };

  /// `inner` is borrowed. The status is shown only if `wanted` and stderr is a terminal.
  StatusTerminal(os::Terminal& inner, bool wanted, Kind kind)
      : inner_(inner), shown_(wanted && inner.err_is_terminal()), kind_(kind) {}
  ~StatusTerminal() override { set_status({}); }

  void out(std::string_view text) override;
  /// Writes results as they are: the bytes of an object.
  void out_bytes(ByteView bytes);
  std::size_t in(MutableBytes bytes, const std::stop_token& stop) override { return inner_.in(bytes, stop); }
  void err(std::string_view text) override;
  bool log(std::string_view line) override;
  bool err_is_terminal() const override { return inner_.err_is_terminal(); }
  bool out_is_terminal() const override { return inner_.out_is_terminal(); }
  int columns() const override { return inner_.columns(); }

  /// Shows one line, no wider than columns(), at the bottom; empty: none.
  void set_status(std::string_view line);
  bool shows_status() const noexcept { return shown_; }

 private:
  /// Takes the status line off the screen.
  void erase() BALE_REQUIRES(mutex_);
  /// Puts it back.
  void draw() BALE_REQUIRES(mutex_);

  std::string printable(std::string_view text) const;

  os::Terminal& inner_;
  const bool shown_;
  const Kind kind_;
  Mutex mutex_;
  std::string status_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cli
