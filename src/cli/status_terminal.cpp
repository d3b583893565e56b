#include "cli/status_terminal.hpp"

#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::cli {

// "\r" goes to the first column, "\x1b[K" erases from there to the end of the line (ECMA-48, EL).
void StatusTerminal::erase() {
  if (!status_.empty()) inner_.err("\r\x1b[K");
}

void StatusTerminal::draw() {
  if (!status_.empty()) inner_.err(status_);
}

std::string StatusTerminal::printable(std::string_view text) const {
  return kind_ == Kind::json ? escape_json(text) : escape_lines(text);
}

void StatusTerminal::out(std::string_view text) { out_bytes(as_bytes(printable(text))); }

void StatusTerminal::out_bytes(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  const Lock lock(mutex_);
  const bool same_screen = inner_.out_is_terminal();
  if (same_screen) erase();
  inner_.out(text);
  if (same_screen && text.ends_with('\n')) draw();
}

void StatusTerminal::err(std::string_view text) {
  const Lock lock(mutex_);
  erase();
  inner_.err(printable(redact_secrets(text)));
  draw();
}

bool StatusTerminal::log(std::string_view line) {
  const Lock lock(mutex_);
  erase();
  const bool is_written = inner_.log(printable(redact_secrets(line)));
  draw();
  return is_written;
}

void StatusTerminal::set_status(std::string_view line) {
  if (!shown_) return;
  const Lock lock(mutex_);
  erase();
  status_ = escape_for_terminal(line);
  draw();
}

}  // namespace bale::cli
