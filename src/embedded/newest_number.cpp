#include "embedded/newest_number.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"

namespace bale::embedded {
namespace {

constexpr std::int64_t slots = 64;
constexpr std::size_t digits = 19;  // of the largest std::int64_t
constexpr std::size_t slot_bytes = digits + 1;

/// The number in a slot; 0 for one that is empty, torn or damaged.
std::int64_t parse_slot(std::string_view slot) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(slot.data(), slot.data() + digits, number);
  const bool is_whole = failure == std::errc() && end == slot.data() + digits && slot[digits] == '\n';
  return is_whole ? number : 0;
}

}  // namespace

std::optional<std::int64_t> NewestNumber::read() const {
  const auto file = files_.open_if_exists(path_);
  if (!file) return std::nullopt;
  std::string text(slots * slot_bytes, '\0');
  text.resize(file->read_at(0, std::as_writable_bytes(std::span(text))));
  std::int64_t newest = 0;
  for (std::size_t at = 0; at + slot_bytes <= text.size(); at += slot_bytes)
    newest = std::max(newest, parse_slot(std::string_view(text).substr(at, slot_bytes)));
  return newest;
}

void NewestNumber::begin(std::int64_t writer) {
  {
    const Lock lock(mutex_);
    try {
      file_ = files_.create_private(path_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::precondition) throw;
      file_ = files_.open_for_writing(path_);
    }
    offset_ = static_cast<ByteCount>(writer % slots) * slot_bytes;
  }
  note(writer);  // the slot takes its space on the disk now, so that a full disk does not matter later
}

void NewestNumber::note(std::int64_t number) noexcept {
  try {
    const Lock lock(mutex_);
    if (file_) file_->write_at(offset_, as_bytes(fmt::format("{:019d}\n", number)));
  } catch (const std::exception&) {
    // See above: less than is true.
  }
}

}  // namespace bale::embedded
