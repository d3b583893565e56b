// Levels that are learned: what the sources of a region know of them, and what a batch makes of that.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/frame_levels.hpp"
#include "base/mutex.hpp"
#include "compression/cost_model.hpp"
#include "compression/learned.hpp"
#include "compression/level_chooser.hpp"
#include "compression/settings_table.hpp"
#include "os/world.hpp"
#include "telemetry/log.hpp"

namespace bale::service {

/// What choosing levels by money needs to know.
struct LevelOptions {
  compression::Prices prices{};
  double cpu_factor = 1;                    ///< compression::CpuBenchmark::factor
  int most_level = compression::max_level;  ///< that memory allows
  std::size_t cores = 1;                    ///< that share the price of the task
};

/// What is known of the levels of a region's sources: from the settings table, and from this process's own work.
/// Thread-safe. Table and world are borrowed.
class RegionLevels {
 public:
  /// `records` may be null, and `table` empty: then this process learns for itself.
  RegionLevels(records::RecordStore* records, const TableName& table, const LevelOptions& options, os::World& world,
               telemetry::Log& log);
  compression::LevelChooser& chooser() noexcept { return chooser_; }

 private:
  const std::unique_ptr<compression::SettingsTable> table_;
  compression::Learned learned_;
  compression::LevelChooser chooser_;
};

/// The levels of one batch's frames. Thread-safe; the chooser is borrowed.
class BatchLevels final : public archive::FrameLevels {
 public:
  BatchLevels(compression::LevelChooser& chooser, std::string settings_key, compression::CostModel cost)
      : chooser_(chooser), settings_key_(std::move(settings_key)), cost_(cost) {}
  int choose(const archive::FrameContent& frame) override;
  void compressed(const archive::FrameContent& frame, int level, ByteCount stored, double core_seconds) override;
  /// Learns from the frames so far; to be called when their archive is durable.
  void learn();

 private:
  struct Probe {
    compression::ContentClass content_class;
    double ratio = 1;
  };
  compression::LevelChooser& chooser_;
  const std::string settings_key_;
  const compression::CostModel cost_;
  Mutex mutex_;
  std::map<const std::byte*, Probe> probes_ BALE_GUARDED_BY(mutex_);  ///< of frames that are being compressed
  std::vector<compression::Measured> measured_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::service
