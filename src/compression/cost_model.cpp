#include "compression/cost_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace bale::compression {
namespace {

constexpr double bytes_per_gib = 1ULL << 30;
constexpr double seconds_per_minute = 60;
// What a task computes beside compressing, as the replaced program reckons it.
constexpr double compute_overhead = 1.025;
// No region and no machine costs this much: a price beyond it is a mistake in the unit.
constexpr double highest_price = 1000;

/// A price, or nothing when the text is none.
std::optional<double> price_of(std::string_view text) {
  double price = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), price);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(price >= 0 && price <= highest_price)) return std::nullopt;
  return price;
}

std::string not_a_price(std::string_view variable, std::string_view text, double instead) {
  return fmt::format("{}: '{}' is not a price in dollars from 0 to {}; {} is used", variable, escape_for_terminal(text),
                     highest_price, instead);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

void read_transfer(std::string_view text, PricesRead& read) {
  constexpr std::string_view variable = "DATA_TRANSFER_COST";
  for (std::string_view entry : split(text, ',')) {
    entry = trimmed(entry);
    const std::size_t equals = entry.find('=');
    const std::string_view number = trimmed(equals == std::string_view::npos ? entry : entry.substr(equals + 1));
    const std::optional<double> price = price_of(number);
    if (!price) {
      read.warnings.push_back(not_a_price(variable, entry, read.prices.transfer_per_gib));
    } else if (equals == std::string_view::npos) {
      read.prices.transfer_per_gib = *price;
    } else {
      read.prices.transfer_to[Region(trimmed(entry.substr(0, equals)))] = *price;
    }
  }
}

}  // namespace

double Prices::to(const Region& region) const {
  const auto found = transfer_to.find(region);
  return found == transfer_to.end() ? transfer_per_gib : found->second;
}

PricesRead read_prices(const os::Environment& environment) {
  PricesRead read;
  const std::string transfer = environment.get("DATA_TRANSFER_COST").value_or("");
  if (!trimmed(transfer).empty()) read_transfer(transfer, read);
  constexpr const char* compute = "FARGATE_COST_PER_MINUTE";
  const std::string text = environment.get(compute).value_or("");
  if (trimmed(text).empty()) return read;
  if (const auto price = price_of(trimmed(text))) {
    read.prices.compute_per_minute = *price;
  } else {
    read.warnings.push_back(not_a_price(compute, text, read.prices.compute_per_minute));
  }
  return read;
}

CostModel::CostModel(const Prices& prices, const std::vector<Region>& regions, std::size_t cores)
    : per_byte_(0),
      per_core_second_(prices.compute_per_minute / seconds_per_minute * compute_overhead /
                       static_cast<double>(std::max<std::size_t>(1, cores))) {
  for (const Region& region : regions) per_byte_ += prices.to(region) / bytes_per_gib;
}

double CostModel::benefit(const Outcome& outcome) const noexcept {
  return (outcome.bytes - outcome.stored) * per_byte_ - outcome.core_seconds * per_core_second_;
}

}  // namespace bale::compression
