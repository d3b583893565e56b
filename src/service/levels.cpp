#include "service/levels.hpp"

#include <algorithm>

#include "archive/compress.hpp"
#include "archive/writer.hpp"

namespace bale::service {
namespace {

/// The class that most of a frame's bytes belong to: like lies beside like, so that nearly all of it does.
compression::ContentClass class_of(const archive::FrameContent& frame, double probed_ratio) {
  compression::ContentClass most = compression::classify({}, probed_ratio);
  ByteCount most_bytes = 0;
  std::map<std::string_view, ByteCount> bytes;
  for (const archive::PlannedMember* member : frame.members) {
    const compression::ContentClass content_class = compression::classify(member->name, probed_ratio);
    ByteCount& sum = bytes[content_class.group];
    sum += std::min<ByteCount>(member->size, frame.bytes.size());
    if (sum < most_bytes) continue;
    most = content_class;
    most_bytes = sum;
  }
  return most;
}

}  // namespace

RegionLevels::RegionLevels(records::RecordStore* records, const TableName& table, const LevelOptions& options,
                           os::World& world, telemetry::Log& log)
    : table_(records == nullptr || table.empty()
                 ? nullptr
                 : std::make_unique<compression::SettingsTable>(*records, table, world.clock, world.stop)),
      learned_(table_.get(), world.clock,
               [&log, table](const Error& error) {
                 log.warning("levels.table", error.what(), {{"table", table.str()}, {"hint", error.hint()}});
               }),
      chooser_(learned_, {options.cpu_factor, options.most_level}, world.entropy) {}

int BatchLevels::choose(const archive::FrameContent& frame) {
  const double ratio = archive::probe_ratio(frame.bytes);
  const compression::ContentClass content_class = class_of(frame, ratio);
  {
    const Lock lock(mutex_);
    probes_[frame.bytes.data()] = {content_class, ratio};
  }
  const auto bytes = static_cast<double>(frame.bytes.size());
  return chooser_.choose(settings_key_, content_class, {bytes, ratio}, cost_);
}

void BatchLevels::compressed(const archive::FrameContent& frame, int level, ByteCount stored, double core_seconds) {
  const auto bytes = static_cast<double>(frame.bytes.size());
  const Lock lock(mutex_);
  const auto probe = probes_.extract(frame.bytes.data());
  measured_.push_back({.content_class = probe.mapped().content_class,
                       .level = level,
                       .objects = frame.members.size(),
                       .bytes = bytes,
                       .probed = probe.mapped().ratio * bytes,
                       .stored = static_cast<double>(stored),
                       .core_seconds = core_seconds});
}

void BatchLevels::learn() {
  std::vector<compression::Measured> measured;
  {
    const Lock lock(mutex_);
    measured.swap(measured_);
  }
  if (!measured.empty()) chooser_.learn(settings_key_, measured, cost_);
}

}  // namespace bale::service
