#include "jobs/estimate/predict.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "compression/content_class.hpp"
#include "os/process_use.hpp"

namespace bale::estimate {
namespace {

// Enough for the shape of a class's curve; the model knows the rest. Together some 25 ns for a byte.
constexpr std::array<int, 3> tried_levels{3, 7, 12};

struct Tried {
  double stored = 0, seconds = 0;
};

// Samples of one group are put together until they have as many bytes: an archive's frames are larger still. Of little
// data smaller bundles are made, so that there are enough of them to see how much they differ.
constexpr std::size_t most_bundle_bytes = 1 << 20, least_bundle_bytes = 64 << 10, wanted_bundles = 16;

/// Samples that are compressed together, and what the levels made of them.
struct Bundle {
  std::string key;  ///< of the first
  std::string content;
  double samples = 0;
  double probe = 1;
  std::map<int, Tried> levels;
  double bytes() const { return static_cast<double>(content.size()); }
};

std::vector<Bundle> bundle(std::vector<Sample> samples) {
  std::size_t all = 0;
  for (const Sample& sample : samples) all += sample.bytes.size();
  const std::size_t enough = std::clamp(all / wanted_bundles, least_bundle_bytes, most_bundle_bytes);
  std::vector<Bundle> bundles;
  std::map<std::string_view, std::size_t> open;  ///< by group: the bundle that takes the next sample
  for (Sample& sample : samples) {
    if (sample.bytes.empty()) continue;
    const std::string_view group = compression::classify(sample.key, 1).group;
    const auto found = open.find(group);
    if (found == open.end() || bundles[found->second].content.size() >= enough) {
      open[group] = bundles.size();
      bundles.push_back({.key = sample.key});
    }
    Bundle& into = bundles[open[group]];
    into.content += as_text(sample.bytes.view());
    into.samples += 1;
    sample.bytes = Buffer();
  }
  for (Bundle& each : bundles) each.probe = archive::probe_ratio(as_bytes(each.content));
  return bundles;
}

const Tried& compress(Bundle& bundle, int level) {
  const auto found = bundle.levels.find(level);
  if (found != bundle.levels.end()) return found->second;
  const auto start = os::thread_processor_time();
  const auto frame = archive::compress_frame(as_bytes(bundle.content), level, archive::default_frame_size);
  const double seconds = (os::thread_processor_time() - start).count();
  // A frame of next to nothing is larger than that; in an archive it would not be alone.
  return bundle.levels[level] = {std::min(bundle.bytes(), static_cast<double>(frame.bytes.size())), seconds};
}

/// The level that pays best for a class: what was tried says so, through the model that the services choose by.
int choose_level(const std::vector<Bundle*>& bundles, const compression::CostModel& cost) {
  compression::ClassStatistics statistics;
  compression::Portion portion{0, 0};
  for (Bundle* each : bundles) {
    portion.bytes += each->bytes();
    portion.probed_ratio += each->bytes() * each->probe;
    for (const int level : tried_levels) {
      const Tried& tried = compress(*each, level);
      const compression::Trial trial{level, 1, each->bytes(), each->bytes() * each->probe, tried.stored, tried.seconds};
      if (trial.is_sound()) statistics.add(trial);
    }
  }
  portion.probed_ratio /= portion.bytes;
  return compression::LevelModel(statistics).best_level(portion, {cost});
}

/// Student's t for 95 % and few samples; 1.96 for many.
double t_of(std::size_t samples) {
  constexpr std::array<double, 10> few{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  const std::size_t freedom = samples - 1;
  return freedom <= few.size() ? few[freedom - 1] : 1.96 + 2.5 / static_cast<double>(freedom);
}

/// Half the width of the 95 % interval of the mean: by how much the bundles differ, each at the level of its class.
double error_of(const std::map<std::string, std::vector<Bundle*>>& classes, const Predicted& predicted,
                double samples) {
  double squares = 0;
  std::size_t count = 0;
  for (const ClassPrediction& found : predicted.classes) {
    for (const Bundle* each : classes.at(found.name)) {
      const double difference = each->levels.at(found.level).stored / each->bytes() - predicted.mean.ratio;
      squares += each->samples * difference * difference;
      ++count;
    }
  }
  if (count < 2) return 1;
  return std::min(1.0, t_of(count) * std::sqrt(squares / samples / static_cast<double>(count - 1)));
}

}  // namespace

Predicted predict(std::vector<Sample> samples, const compression::CostModel& cost) {
  Predicted predicted;
  predicted.error = 1;
  std::vector<Bundle> bundles = bundle(std::move(samples));
  if (bundles.empty()) return predicted;
  std::map<std::string, std::vector<Bundle*>> classes;
  for (Bundle& each : bundles) classes[compression::classify(each.key, each.probe).name()].push_back(&each);

  double all = 0, sum = 0, seconds = 0;
  for (auto& [name, members] : classes) {
    ClassPrediction found{.name = name, .level = choose_level(members, cost)};
    double of_class = 0, ratios = 0;
    for (Bundle* each : members) {
      const Tried& tried = compress(*each, found.level);
      of_class += each->samples;
      ratios += each->samples * tried.stored / each->bytes();
      seconds += each->samples * tried.seconds / each->bytes();
      predicted.sample_bytes += each->content.size();
    }
    all += of_class;
    sum += ratios;
    found.samples = static_cast<std::size_t>(of_class);
    found.ratio = ratios / of_class;
    predicted.classes.push_back(std::move(found));
  }
  for (ClassPrediction& each : predicted.classes) each.share = static_cast<double>(each.samples) / all;
  std::stable_sort(predicted.classes.begin(), predicted.classes.end(),
                   [](const ClassPrediction& a, const ClassPrediction& b) { return a.share > b.share; });
  predicted.samples = static_cast<std::size_t>(all);
  predicted.mean = {sum / all, seconds / all};
  predicted.error = error_of(classes, predicted, all);
  return predicted;
}

}  // namespace bale::estimate
