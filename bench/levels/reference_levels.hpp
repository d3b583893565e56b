// The algorithm of S3 Cross-Region Compressor, written anew from its description, to be compared with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>

namespace bale::simulation {

/// One level for a whole prefix. Levels 1-22, 12 at first. The best is the one that saved most for an object, among
/// those that were tried ten times and saved anything; one more on a machine that is a tenth faster than the fleet's
/// mean, one less on a slower one. A quarter of the choices, less a fiftieth for every thousand updates down to an
/// eighth, go one (60 %), two (25 %) or three (15 %) levels up or down instead.
class ReferenceLevels {
 public:
  /// `uniform` gives numbers from 0 to 1.
  int choose(double cpu_factor, const std::function<double()>& uniform) const {
    if (levels_.empty()) return first_level;
    int level = best();
    const double relative = cpu_factor / (sum_factor_ / static_cast<double>(updates_));
    if (relative < 0.9) level = std::min(highest, level + 1);
    if (relative > 1.1) level = std::max(lowest, level - 1);
    const double explored = 0.25 * (1 - std::min(0.5, static_cast<double>(updates_) / 1000 * 0.02));
    const double chance = uniform() / explored;
    if (chance >= 1) return level;
    const int distance = chance < 0.6 ? 1 : chance < 0.85 ? 2 : 3;
    return std::clamp(uniform() < 0.5 ? level - distance : level + distance, lowest, highest);
  }

  void learn(int level, double benefit, std::uint64_t objects, double cpu_factor) {
    Sums& sums = levels_[level];
    sums.benefit += benefit;
    sums.objects += objects;
    ++sums.trials;
    sum_factor_ += cpu_factor;
    ++updates_;
  }

 private:
  static constexpr int lowest = 1, highest = 22, first_level = 12, enough_trials = 10;
  struct Sums {
    double benefit = 0;
    std::uint64_t objects = 0;
    int trials = 0;
  };

  int best() const {
    int level = first_level;
    double most = 0;
    for (const auto& [candidate, sums] : levels_) {
      const double mean = sums.benefit / static_cast<double>(sums.objects);
      if (sums.trials < enough_trials || mean <= most) continue;
      level = candidate;
      most = mean;
    }
    return level;
  }

  std::map<int, Sums> levels_;
  double sum_factor_ = 0;
  std::uint64_t updates_ = 0;
};

}  // namespace bale::simulation
