// Which level to compress with, and learning from what came of it: what services use of this module.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mutex.hpp"
#include "compression/learned.hpp"
#include "compression/level_model.hpp"

namespace bale::compression {

/// What came of one portion, as it was measured here.
struct Measured {
  ContentClass content_class;
  int level = 0;
  std::uint64_t objects = 0;
  double bytes = 0, probed = 0, stored = 0;
  double core_seconds = 0;  ///< of this machine
};

/// Chooses levels for the classes of all prefixes of one task, and learns. No call throws Error. Thread-safe. A choice
/// takes a few microseconds, and some hundred more when something was learned since the last one.
class LevelChooser {
 public:
  struct Machine {
    double cpu_factor = 1;  ///< CpuBenchmark::factor
    int most_level = max_level;
  };
  /// Both are borrowed. `entropy` decides what is tried.
  LevelChooser(Learned& learned, Machine machine, os::Entropy& entropy)
      : learned_(learned), machine_(machine), normal_(entropy) {}

  /// The level for a portion of class `content_class` below the prefix of `settings_key`.
  int choose(const std::string& settings_key, const ContentClass& content_class, const Portion& portion,
             const CostModel& cost);

  /// Learns from one archive: all portions that went into it. Those that make no sense are left out.
  void learn(const std::string& settings_key, const std::vector<Measured>& portions, const CostModel& cost);

 private:
  struct Model {
    ClassStatistics statistics;
    std::shared_ptr<const LevelModel> model;
    bool settled = false;
  };
  Model model_of(const std::string& key, const ClassStatistics& statistics, const Portion& portion,
                 const Workplace& place);

  Learned& learned_;
  const Machine machine_;
  Mutex mutex_;
  NormalNumbers normal_ BALE_GUARDED_BY(mutex_);
  std::map<std::string, Model> models_ BALE_GUARDED_BY(mutex_);  ///< by class key; made anew when statistics change
};

}  // namespace bale::compression
