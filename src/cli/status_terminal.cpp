#include "cli/status_terminal.hpp"

namespace bale::cli {

// "\r" goes to the first column, "\x1b[K" erases from there to the end of the line (ECMA-48, EL).
void StatusTerminal::erase() {
  if (!status_.empty()) inner_.err("\r\x1b[K");
}

void StatusTerminal::draw() {
  if (!status_.empty()) inner_.err(status_);
}

void StatusTerminal::out(std::string_view text) {
  const Lock lock(mutex_);
  const bool same_screen = inner_.out_is_terminal();
  if (same_screen) erase();
  inner_.out(text);
  if (same_screen && text.ends_with('\n')) draw();
}

void StatusTerminal::err(std::string_view text) {
  const Lock lock(mutex_);
  erase();
  inner_.err(text);
  draw();
}

void StatusTerminal::set_status(std::string_view line) {
  if (!shown_) return;
  const Lock lock(mutex_);
  erase();
  status_ = line;
  draw();
}

}  // namespace bale::cli
