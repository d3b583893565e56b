// Thousands of batches of recorded data, packed by a fleet of unequal machines, with levels chosen by Bale, by the
// algorithm of S3 Cross-Region Compressor, and by an oracle. Everything follows from the seed.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "compression/cost_model.hpp"
#include "compression/statistics.hpp"

namespace bale::simulation {

/// One recorded chunk: what each level makes of it.
struct Chunk {
  double bytes = 0;
  double probe = 1;
  std::array<double, compression::level_count> stored{};   ///< bytes
  std::array<double, compression::level_count> seconds{};  ///< of one core of the reference machine
};
using Curves = std::map<std::string, std::vector<Chunk>>;  ///< by kind of data

/// Reads what level_recorder wrote. Throws std::runtime_error.
Curves read_curves(const std::filesystem::path& csv);

/// From this batch on, batches hold these kinds of data, each with its share of the bytes.
struct Phase {
  std::size_t first_batch = 0;
  std::map<std::string, double> shares;
};

struct Scenario {
  std::string name;
  std::vector<Phase> phases;
  compression::Prices prices;
  std::vector<Region> regions{Region("eu-west-1")};
  std::vector<double> cpu_factors{1.0};  ///< of the fleet's machines
  std::size_t cores = 2;
  std::size_t batches = 2000;
};

/// Dollars saved, after what compressing cost.
struct Money {
  double oracle = 0, bale = 0, reference = 0, level_12 = 0;
  double bill = 0;  ///< of moving everything as it is
  Money& operator+=(const Money& other);
  /// How far `dollars` stays behind the oracle, as a share of what the oracle saves, or of 1 % of the bill where next
  /// to nothing can be saved.
  double loss(double dollars) const;
};

struct Result {
  Money all;
  Money last;                                                ///< of the last quarter of the batches
  std::map<int, std::size_t> bale_levels, reference_levels;  ///< portions of the last quarter by level
};

/// The oracle uses, for every kind, phase and machine, the one level that turns out best. It knows nothing of single
/// batches.
Result simulate(const Scenario& scenario, const Curves& curves, std::uint64_t seed);

/// What is measured and tested: kinds one by one and mixed, unequal fleets, other prices, data that change midway.
std::vector<Scenario> scenarios();

}  // namespace bale::simulation
