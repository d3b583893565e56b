// What was learned about the levels: sums that can be added in any order. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "archive/writer.hpp"

namespace bale::compression {

inline constexpr int min_level = archive::min_level, max_level = archive::max_level;  ///< 0 is "store"
inline constexpr int level_count = max_level - min_level + 1;

/// One portion of one class, compressed at one level. Seconds are those of one core of the reference machine: what
/// the portion took here, divided by this machine's CPU factor.
struct Trial {
  int level = 0;
  std::uint64_t objects = 0;
  double bytes = 0;    ///< of content, before
  double probed = 0;   ///< what the probe foresaw: sum of probe_ratio() times bytes
  double stored = 0;   ///< after
  double seconds = 0;  ///< normalised core seconds
  /// Whether it can be learned from: a level that there is, something before and after, finite numbers.
  bool is_sound() const noexcept;
};

/// The trials of one level, summed.
struct LevelSums {
  std::uint64_t trials = 0, objects = 0;
  double bytes = 0, probed = 0, stored = 0, seconds = 0;
  /// Sums of x and x*x over trials, where x is the logarithm of stored / probed: how much trials differ.
  double log_sum = 0, log_square = 0;

  void add(const Trial& trial) noexcept;
  void add(const LevelSums& other) noexcept;
  friend bool operator==(const LevelSums&, const LevelSums&) = default;
};

/// The statistics of one class: by level. Equal to the sum of its parts, whoever adds them in whatever order.
class ClassStatistics {
 public:
  LevelSums& at(int level) { return levels_[static_cast<std::size_t>(level - min_level)]; }
  const LevelSums& at(int level) const { return levels_[static_cast<std::size_t>(level - min_level)]; }
  void add(const Trial& trial) noexcept { at(trial.level).add(trial); }
  void add(const ClassStatistics& other) noexcept;
  std::uint64_t trials() const noexcept;
  friend bool operator==(const ClassStatistics&, const ClassStatistics&) = default;

 private:
  std::array<LevelSums, level_count> levels_{};
};

/// One level in the form that S3 Cross-Region Compressor knows.
struct LevelBenefit {
  double sum_benefit = 0;  ///< dollars
  std::uint64_t trials = 0, objects = 0;
  friend bool operator==(const LevelBenefit&, const LevelBenefit&) = default;
};

/// What S3 Cross-Region Compressor keeps of a bucket and prefix; levels 1-22.
struct PrefixBenefits {
  std::map<int, LevelBenefit> levels;
  double sum_cpu_factor = 0;
  std::uint64_t total_processed_files = 0;
  std::uint64_t version = 0;  ///< updates so far
  void add(const PrefixBenefits& other);
  friend bool operator==(const PrefixBenefits&, const PrefixBenefits&) = default;
};

}  // namespace bale::compression
