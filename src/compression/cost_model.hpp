// What compressing costs and what it saves, in US dollars. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "os/environment.hpp"

namespace bale::compression {

/// Prices of moving and of computing, in US dollars. The defaults are those of S3 Cross-Region Compressor.
struct Prices {
  double transfer_per_gib = 0.02;
  /// Where a destination region has a price of its own.
  std::map<Region, double> transfer_to{};
  double compute_per_minute = 0.000395;  ///< of the whole task, however many cores it has

  double to(const Region& region) const;
  friend bool operator==(const Prices&, const Prices&) = default;
};

/// Prices, and what was wrong with those that were not taken, for people.
struct PricesRead {
  Prices prices;
  std::vector<std::string> warnings;
};

/// Reads DATA_TRANSFER_COST ("0.02", or "0.02,ap-southeast-2=0.098": a price for all, and prices of single regions) and
/// FARGATE_COST_PER_MINUTE ("0.000395"). Where one is missing the default stands; where one is not a number from 0 to
/// 1000 too, with a warning. Never throws.
PricesRead read_prices(const os::Environment& environment);

/// One piece of work, as far as money sees it. Times are of one core.
struct Outcome {
  double bytes = 0;         ///< before
  double stored = 0;        ///< after
  double core_seconds = 0;  ///< spent on compressing
};

/// Prices applied to one batch's destinations and one task. Immutable.
class CostModel {
 public:
  /// `regions`: where each archive goes, each region once, without the source's own. `cores` share the price of the
  /// task; at least 1.
  CostModel(const Prices& prices, const std::vector<Region>& regions, std::size_t cores);
  /// Of moving one byte to all regions.
  double per_byte() const noexcept { return per_byte_; }
  /// Of one second of one core, with 2.5 % for what the task does beside.
  double per_core_second() const noexcept { return per_core_second_; }
  /// Dollars saved by moving less, minus dollars spent on computing: negative where compressing loses money.
  double benefit(const Outcome& outcome) const noexcept;

 private:
  double per_byte_;
  double per_core_second_;
};

}  // namespace bale::compression
