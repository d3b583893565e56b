// What is believed about the levels of one class, in money, and which to take. Pure; chance is a parameter.
// Why so: docs/adr/0009-levels-by-belief.md.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "compression/cost_model.hpp"
#include "compression/gaussian.hpp"
#include "compression/statistics.hpp"

namespace bale::compression {

/// A portion of one class that is to be compressed.
struct Portion {
  double bytes = 0;
  double probed_ratio = 1;  ///< of archive::probe_ratio(), over the portion
};

/// Where the portion is to be compressed, and at what prices.
struct Workplace {
  CostModel cost;
  double cpu_factor = 1;       ///< core seconds here for one of the reference machine: below 1 is faster
  int most_level = max_level;  ///< the highest that memory allows
};

/// The belief about all levels of a class, from its statistics. Immutable and thread-safe; some 100 microseconds to
/// make.
class LevelModel {
 public:
  explicit LevelModel(const ClassStatistics& statistics);

  /// What the portion would probably come to at `level`, on this workplace.
  Outcome foresee(int level, const Portion& portion, const Workplace& place) const;
  /// The level whose expected benefit is highest.
  int best_level(const Portion& portion, const Workplace& place) const;
  /// A level, by the chance that it is the best: levels that may be better are tried as often as that is likely, those
  /// that are worse are not (Thompson sampling).
  int try_level(const Portion& portion, const Workplace& place, const std::function<double()>& normal) const;
  /// Dollars that knowing everything about the levels would save on this portion: what trying can gain at most.
  double worth_of_knowing(const Portion& portion, const Workplace& place, const std::function<double()>& normal) const;
  /// Whether a plateau is reached: knowing more is worth less than 0.3 % of what the best level gains, or than 0.05 %
  /// of what moving the portion costs.
  bool is_settled(const Portion& portion, const Workplace& place, const std::function<double()>& normal) const;

 private:
  Outcome outcome_at(int level, const Row& gains, const Row& times, const Portion& portion,
                     const Workplace& place) const;
  int best_of(const Row& gains, const Row& times, const Portion& portion, const Workplace& place) const;
  RowBelief gains_;  ///< of log(stored / probed)
  RowBelief times_;  ///< of log(normalised core seconds per byte)
};

/// The level with the highest mean benefit per byte among those with at least `min_trials` trials; nothing where there
/// is none. For reports: it says what was seen, not what is believed.
std::optional<int> best_tried_level(const ClassStatistics& statistics, const Workplace& place);

/// Trials before a level counts as known.
inline constexpr std::uint64_t min_trials = 10;

/// The level that S3 Cross-Region Compressor would call the best: the highest mean benefit per object among levels with
/// at least min_trials trials and a gain, one higher on a machine that is 10 % faster than the fleet, one lower on one
/// that is 10 % slower. Nothing where no level qualifies. `cpu_factor` is in the unit of `benefits`.
std::optional<int> inherited_level(const PrefixBenefits& benefits, double cpu_factor);

}  // namespace bale::compression
