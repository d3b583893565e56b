#include "store/part_size.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/error.hpp"
#include "base/text.hpp"
#include "store/object_store.hpp"

namespace bale::store {
namespace {

/// The power of 1,024 that a unit stands for; absent for another text.
std::optional<unsigned> power_of(std::string unit) {
  unit = to_lower(unit);
  if (unit.empty() || unit == "b") return 0;
  constexpr std::string_view letters = "kmgt";
  const std::size_t power = letters.find(unit[0]);
  const std::string_view rest = std::string_view(unit).substr(1);
  if (power == std::string_view::npos || (rest != "b" && rest != "ib" && !rest.empty())) return std::nullopt;
  return static_cast<unsigned>(power) + 1;
}

}  // namespace

ByteCount parse_part_size(std::string_view text, const std::string& where) {
  std::uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const std::optional<unsigned> power = power_of(std::string(unit));
  // A number above the limit is none, also where it would overflow.
  const bool is_size = failure == std::errc() && power && number <= (max_part_bytes >> (10 * *power));
  const ByteCount size = is_size ? number << (10 * *power) : 0;
  if (size >= min_part_bytes) return size;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is no size of parts", escape_for_terminal(text)), where,
              "give a size from 5MB to 5GB, for example 64MB");
}

}  // namespace bale::store
