#include "catalog/landed_order.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/text.hpp"

namespace bale::catalog {

std::string to_text(const LandedOrder& order) {
  return fmt::format("{};{};{}", order.order.sequencer, to_epoch_ms(order.order.time), order.source_bucket.str());
}

std::optional<LandedOrder> parse_order(std::string_view text) {
  const auto pieces = split(text, ';');
  if (pieces.size() != 3) return std::nullopt;
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(pieces[1].data(), pieces[1].data() + pieces[1].size(), ms);
  if (error != std::errc() || end != pieces[1].data() + pieces[1].size()) return std::nullopt;
  return LandedOrder{{std::string(pieces[0]), from_epoch_ms(ms)}, BucketName(pieces[2])};
}

}  // namespace bale::catalog
