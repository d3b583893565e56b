#include "compression/statistics.hpp"

#include <cmath>

namespace bale::compression {

bool Trial::is_sound() const noexcept {
  const auto counts = [](double value) { return std::isfinite(value) && value > 0; };
  return level >= min_level && level <= max_level && counts(bytes) && counts(probed) && counts(stored) &&
         std::isfinite(seconds) && seconds >= 0;
}

void LevelSums::add(const Trial& trial) noexcept {
  const double x = std::log(trial.stored / trial.probed);
  add(LevelSums{1, trial.objects, trial.bytes, trial.probed, trial.stored, trial.seconds, x, x * x});
}

void LevelSums::add(const LevelSums& other) noexcept {
  trials += other.trials;
  objects += other.objects;
  bytes += other.bytes;
  probed += other.probed;
  stored += other.stored;
  seconds += other.seconds;
  log_sum += other.log_sum;
  log_square += other.log_square;
}

void ClassStatistics::add(const ClassStatistics& other) noexcept {
  for (std::size_t i = 0; i < levels_.size(); ++i) levels_[i].add(other.levels_[i]);
}

std::uint64_t ClassStatistics::trials() const noexcept {
  std::uint64_t sum = 0;
  for (const LevelSums& level : levels_) sum += level.trials;
  return sum;
}

void PrefixBenefits::add(const PrefixBenefits& other) {
  for (const auto& [level, benefit] : other.levels) {
    LevelBenefit& sum = levels[level];
    sum.sum_benefit += benefit.sum_benefit;
    sum.trials += benefit.trials;
    sum.objects += benefit.objects;
  }
  sum_cpu_factor += other.sum_cpu_factor;
  total_processed_files += other.total_processed_files;
  version += other.version;
}

}  // namespace bale::compression
