// A row of unknown numbers of which neighbours are alike, and what is known of them after some were measured. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "compression/statistics.hpp"
#include "os/entropy.hpp"

namespace bale::compression {

/// Levels that do work: 1 to max_level. Level 0 needs no guess.
inline constexpr std::size_t row_size = max_level;
using Row = std::array<double, row_size>;  ///< [0] is level 1

/// What is believed before anything was measured: every number is its expectation, plus an error that all share, plus
/// one that neighbours share, the less the further apart they are. All are normally distributed.
struct RowPrior {
  Row expected{};
  double shared_deviation = 0;  ///< of the error that all share
  double own_deviation = 0;     ///< of the error of each
  double reach = 1;             ///< distance at which two own errors agree to 1/e
};

/// Measurements of each number: how many, and their mean.
struct RowMeasurements {
  Row counts{};
  Row means{};                ///< anything where the count is 0
  double noise_variance = 1;  ///< of a single measurement; more than 0
};

/// What is believed afterwards. Immutable; some 50 microseconds to make, 1 to draw from.
class RowBelief {
 public:
  RowBelief(const RowPrior& prior, const RowMeasurements& measured);
  const Row& expected() const noexcept { return expected_; }
  /// A row as it may truly be: drawn from the belief, with numbers that belong together. `normal` gives standard
  /// normal numbers.
  Row draw(const std::function<double()>& normal) const;

 private:
  using Matrix = std::array<Row, row_size>;
  Row expected_{};
  Matrix root_{};  ///< lower triangle whose square is the covariance
};

/// Standard normal numbers out of random bytes (Box and Muller). Not thread-safe; the entropy is borrowed.
class NormalNumbers {
 public:
  explicit NormalNumbers(os::Entropy& entropy) : entropy_(entropy) {}
  double operator()();

 private:
  os::Entropy& entropy_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace bale::compression
