#include "compression/level_model.hpp"

#include <algorithm>
#include <cmath>

#include "archive/compress.hpp"
#include "compression/level_curves.hpp"

namespace bale::compression {
namespace {

// How far kinds of data are from the general curves, as recorded (docs/benchmarks.md, levels): deviations of
// logarithms.
constexpr double gain_shared = 0.5, gain_own = 0.05, gain_reach = 6;
constexpr double time_shared = 0.6, time_own = 0.35, time_reach = 5;
// What two trials of one level differ by. Gains: a guess that counts as four trials, then what was seen.
constexpr double gain_noise = 0.08, gain_noise_trials = 4;
// Times: other work on the machine; never averaged away below what one trial in forty would say.
constexpr double time_noise = 0.25, most_time_trials = 40;

// A plateau: see is_settled().
constexpr double settled_share_of_gain = 0.003, settled_share_of_bill = 0.0005;
constexpr int draws = 64;

/// The variance of a single trial's gain within its level, pooled over the levels.
double noise_of(const ClassStatistics& statistics) {
  double squares = gain_noise_trials * gain_noise * gain_noise, freedom = gain_noise_trials;
  for (int level = 1; level <= max_level; ++level) {
    const LevelSums& sums = statistics.at(level);
    if (sums.trials < 2) continue;
    const auto n = static_cast<double>(sums.trials);
    squares += std::max(0.0, sums.log_square - sums.log_sum * sums.log_sum / n);
    freedom += n - 1;
  }
  return squares / freedom;
}

RowBelief believe_gains(const ClassStatistics& statistics) {
  RowPrior prior{
      .expected = general_gains, .shared_deviation = gain_shared, .own_deviation = gain_own, .reach = gain_reach};
  RowMeasurements measured{.noise_variance = noise_of(statistics)};
  for (std::size_t i = 0; i < row_size; ++i) {
    const LevelSums& sums = statistics.at(static_cast<int>(i) + 1);
    if (sums.trials == 0) continue;
    measured.counts[i] = static_cast<double>(sums.trials);
    measured.means[i] = std::log(sums.stored / sums.probed);
  }
  return {prior, measured};
}

RowBelief believe_times(const ClassStatistics& statistics) {
  RowPrior prior{
      .expected = general_times, .shared_deviation = time_shared, .own_deviation = time_own, .reach = time_reach};
  RowMeasurements measured{.noise_variance = time_noise * time_noise};
  for (std::size_t i = 0; i < row_size; ++i) {
    const LevelSums& sums = statistics.at(static_cast<int>(i) + 1);
    if (sums.trials == 0 || sums.seconds <= 0) continue;
    measured.counts[i] = std::min(most_time_trials, static_cast<double>(sums.trials));
    measured.means[i] = std::log(sums.seconds / sums.bytes);
  }
  return {prior, measured};
}

/// Content that archive would compress at level 1 whatever it is told has two levels.
int most_level(const Portion& portion, const Workplace& place) {
  return portion.probed_ratio < archive::incompressible_ratio ? place.most_level : std::min(1, place.most_level);
}

}  // namespace

LevelModel::LevelModel(const ClassStatistics& statistics)
    : gains_(believe_gains(statistics)), times_(believe_times(statistics)) {}

Outcome LevelModel::outcome_at(int level, const Row& gains, const Row& times, const Portion& portion,
                               const Workplace& place) const {
  if (level == archive::store_level)
    return {portion.bytes, portion.bytes, portion.bytes * store_seconds_per_byte * place.cpu_factor};
  const auto i = static_cast<std::size_t>(level - 1);
  // What does not compress is stored, block by block: never more than the content.
  const double ratio = std::min(1.0, portion.probed_ratio * std::exp(gains[i]));
  return {portion.bytes, portion.bytes * ratio, portion.bytes * std::exp(times[i]) * place.cpu_factor};
}

int LevelModel::best_of(const Row& gains, const Row& times, const Portion& portion, const Workplace& place) const {
  int best = min_level;
  double most = 0;
  for (int level = min_level; level <= most_level(portion, place); ++level) {
    const double benefit = place.cost.benefit(outcome_at(level, gains, times, portion, place));
    if (level != min_level && benefit <= most) continue;
    best = level;
    most = benefit;
  }
  return best;
}

Outcome LevelModel::foresee(int level, const Portion& portion, const Workplace& place) const {
  return outcome_at(level, gains_.expected(), times_.expected(), portion, place);
}

int LevelModel::best_level(const Portion& portion, const Workplace& place) const {
  return best_of(gains_.expected(), times_.expected(), portion, place);
}

int LevelModel::try_level(const Portion& portion, const Workplace& place, const std::function<double()>& normal) const {
  const Row gains = gains_.draw(normal);
  const int drawn = best_of(gains, times_.draw(normal), portion, place);
  // What storing comes to is known: trying it would teach nothing.
  return drawn == archive::store_level ? best_level(portion, place) : drawn;
}

double LevelModel::worth_of_knowing(const Portion& portion, const Workplace& place,
                                    const std::function<double()>& normal) const {
  const int settled = best_level(portion, place);
  double gained = 0;
  for (int draw = 0; draw < draws; ++draw) {
    const Row gains = gains_.draw(normal), times = times_.draw(normal);
    const int best = best_of(gains, times, portion, place);
    gained += place.cost.benefit(outcome_at(best, gains, times, portion, place)) -
              place.cost.benefit(outcome_at(settled, gains, times, portion, place));
  }
  return gained / draws;
}

bool LevelModel::is_settled(const Portion& portion, const Workplace& place,
                            const std::function<double()>& normal) const {
  const double gain = place.cost.benefit(foresee(best_level(portion, place), portion, place));
  const double enough =
      std::max(settled_share_of_gain * gain, settled_share_of_bill * portion.bytes * place.cost.per_byte());
  return worth_of_knowing(portion, place, normal) <= enough;
}

std::optional<int> best_tried_level(const ClassStatistics& statistics, const Workplace& place) {
  std::optional<int> best;
  double most = 0;
  for (int level = min_level; level <= max_level; ++level) {
    const LevelSums& sums = statistics.at(level);
    if (sums.trials < min_trials || sums.bytes <= 0) continue;
    const Outcome sum{sums.bytes, sums.stored, sums.seconds * place.cpu_factor};
    const double per_byte = place.cost.benefit(sum) / sums.bytes;
    if (best && per_byte <= most) continue;
    best = level;
    most = per_byte;
  }
  return best;
}

std::optional<int> inherited_level(const PrefixBenefits& benefits, double cpu_factor) {
  std::optional<int> best;
  double most = 0;
  for (const auto& [level, sums] : benefits.levels) {
    if (sums.trials < min_trials || level < 1 || level > max_level) continue;
    const double per_object = sums.sum_benefit / static_cast<double>(std::max<std::uint64_t>(1, sums.objects));
    if (per_object <= most) continue;
    best = level;
    most = per_object;
  }
  if (!best || benefits.version == 0 || benefits.sum_cpu_factor <= 0) return best;
  constexpr double faster = 0.9, slower = 1.1;
  const double relative = cpu_factor / (benefits.sum_cpu_factor / static_cast<double>(benefits.version));
  if (relative < faster) return std::min(max_level, *best + 1);
  if (relative > slower) return std::max(1, *best - 1);
  return best;
}

}  // namespace bale::compression
