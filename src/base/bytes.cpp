#include "base/bytes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale {

void Buffer::Free::operator()(std::byte* bytes) const noexcept { std::free(bytes); }

Buffer::Buffer(std::size_t capacity) : capacity_(capacity) {
  constexpr std::size_t page = 4096;
  if (capacity == 0) return;
  void* bytes =
      capacity < large_bytes ? std::malloc(capacity) : std::aligned_alloc(page, (capacity + page - 1) / page * page);
  data_.reset(static_cast<std::byte*>(bytes));
  if (!data_) throw std::bad_alloc();
}

void Buffer::append(ByteView bytes) noexcept {
  if (bytes.empty()) return;
  std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void Buffer::shrink() {
  if (capacity_ - size_ < capacity_ / 4 || size_ == 0) return;
  void* smaller = std::realloc(data_.get(), size_);
  if (smaller == nullptr) return;  // keeping the larger block is no failure
  std::ignore = data_.release();
  data_.reset(static_cast<std::byte*>(smaller));
  capacity_ = size_;
}

std::string format_bytes(ByteCount bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

namespace {

/// The factor of a unit ("", "B", "K", "KiB", "KB", ...) to a byte; nothing when there is no such unit.
std::optional<double> unit_factor(std::string_view unit) {
  if (unit.empty() || unit == "B") return 1;
  const auto power =
      std::string_view("KMGTP").find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
  const std::string_view rest = unit.substr(1);
  if (power == std::string_view::npos) return std::nullopt;
  const double exponent = static_cast<double>(power + 1);
  if (rest == "B" || rest == "b") return std::pow(1000.0, exponent);
  if (rest.empty() || rest == "iB" || rest == "ib") return std::pow(1024.0, exponent);
  return std::nullopt;
}

}  // namespace

ByteCount parse_bytes(std::string_view text) {
  const auto fail = [&] {
    return Error(ErrorKind::invalid, fmt::format("'{}' is not a size", escape_for_terminal(text)), {},
                 "write for example 8388608, 8MiB or 256M");
  };
  const std::string_view number = text.substr(0, text.find_first_not_of("0123456789."));
  std::string_view unit = text.substr(number.size());
  if (unit.starts_with(' ') && unit.size() > 1) unit.remove_prefix(1);
  const std::optional<double> factor = unit_factor(unit);
  const char* const end = number.data() + number.size();
  if (number.empty() || !factor) throw fail();
  if (*factor == 1 && number.find('.') == std::string_view::npos) {  // exact, where a double has too few digits
    ByteCount bytes = 0;
    const auto [stopped, error] = std::from_chars(number.data(), end, bytes);
    if (error != std::errc() || stopped != end) throw fail();
    return bytes;
  }
  double value = 0;
  const auto [stopped, error] = std::from_chars(number.data(), end, value, std::chars_format::fixed);
  constexpr double most = 9.2e18;  // below 2^63
  if (error != std::errc() || stopped != end || value * *factor >= most) throw fail();
  return static_cast<ByteCount>(std::llround(value * *factor));
}

}  // namespace bale
