#include "compression/level_chooser.hpp"

#include <algorithm>

#include "archive/compress.hpp"
#include "compression/cpu_benchmark.hpp"

namespace bale::compression {

LevelChooser::Model LevelChooser::model_of(const std::string& key, const ClassStatistics& statistics,
                                           const Portion& portion, const Workplace& place) {
  const Lock lock(mutex_);
  Model& model = models_[key];
  if (model.model && model.statistics == statistics) return model;
  model.statistics = statistics;
  model.model = std::make_shared<const LevelModel>(statistics);
  model.settled = model.model->is_settled(portion, place, [this]() BALE_REQUIRES(mutex_) { return normal_(); });
  return model;
}

int LevelChooser::choose(const std::string& settings_key, const ContentClass& content_class, const Portion& portion,
                         const CostModel& cost) {
  const Workplace place{cost, machine_.cpu_factor, machine_.most_level};
  const std::string key = class_key(settings_key, content_class);
  const ClassStatistics statistics = learned_.statistics(key);
  const bool compressible = content_class.band < content_bands - 1;
  if (compressible && statistics.trials() < min_trials) {
    // What the replaced program has learned of the prefix as a whole is a better start than what is true in general.
    const auto inherited = inherited_level(learned_.benefits(settings_key), to_foreign_factor(machine_.cpu_factor));
    if (inherited) return std::min(*inherited, machine_.most_level);
  }
  const Model model = model_of(key, statistics, portion, place);
  if (model.settled) return model.model->best_level(portion, place);
  const Lock lock(mutex_);
  return model.model->try_level(portion, place, [this]() BALE_REQUIRES(mutex_) { return normal_(); });
}

void LevelChooser::learn(const std::string& settings_key, const std::vector<Measured>& portions,
                         const CostModel& cost) {
  std::map<std::string, ClassStatistics> by_class;
  PrefixBenefits benefits;
  for (const Measured& measured : portions) {
    const Trial trial{.level = measured.level,
                      .objects = measured.objects,
                      .bytes = measured.bytes,
                      .probed = measured.probed,
                      .stored = measured.stored,
                      .seconds = measured.core_seconds / machine_.cpu_factor};
    if (!trial.is_sound()) continue;
    by_class[class_key(settings_key, measured.content_class)].add(trial);
    benefits.total_processed_files += measured.objects;
    // The replaced program would take level 0 for libzstd's default.
    if (measured.level == archive::store_level) continue;
    LevelBenefit& benefit = benefits.levels[measured.level];
    benefit.sum_benefit += cost.benefit({measured.bytes, measured.stored, measured.core_seconds});
    benefit.trials = 1;  // one for the archive
    benefit.objects += measured.objects;
  }
  for (const auto& [key, statistics] : by_class) learned_.add(key, statistics);
  if (by_class.empty()) return;
  benefits.version = 1;
  benefits.sum_cpu_factor = to_foreign_factor(machine_.cpu_factor);
  learned_.add(settings_key, benefits);
}

}  // namespace bale::compression
