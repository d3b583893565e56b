// What choosing levels and telling metrics costs, beside packing: processor time of both, in one run.
//
//   build/release/bench/overhead_bench
//
// Batches of 1,000 objects of 128 KiB in frames of 16 MiB: levels chosen and learned from by service::BatchLevels,
// everything reported to the metrics and written in CloudWatch's format. Wanted: under 0.5 % of the time of
// compressing.
#include <fmt/format.h>

#include <vector>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "compression/cpu_benchmark.hpp"
#include "compression/statistics_item.hpp"
#include "os/process_use.hpp"
#include "os/world.hpp"
#include "service/levels.hpp"
#include "service/metrics.hpp"
#include "service/report.hpp"
#include "telemetry/emf.hpp"

namespace {

using namespace bale;

constexpr std::size_t objects = 1000, object_bytes = 128 << 10, batches = 3;
constexpr std::size_t frames = objects * object_bytes / archive::default_frame_size;

/// Processor seconds of `work`.
template <typename Work>
double seconds_of(const Work& work) {
  const auto before = os::thread_processor_time();
  work();
  return (os::thread_processor_time() - before).count();
}

class Overhead {
 public:
  void run() {
    for (std::size_t batch = 0; batch < batches; ++batch) pack();
    fmt::print("compressing {:.3f} s; choosing and learning {:.6f} s, metrics {:.6f} s: {:.3f} % (wanted 0.5 %)\n",
               compressing_, choosing_, reporting_, 100 * (choosing_ + reporting_) / compressing_);
    fmt::print("{{\"bench\":\"overhead\",\"compressing\":{:.4f},\"choosing\":{:.6f},\"reporting\":{:.6f}}}\n",
               compressing_, choosing_, reporting_);
  }

 private:
  void pack() {
    service::BatchLevels levels(chooser_, key_, cost_);
    const archive::FrameContent frame{members_, as_bytes(data_)};
    pack::PackedArchive archive{ObjectKey("archive"), objects, objects * object_bytes, 0, 0, 0, Milliseconds(1000)};
    for (std::size_t i = 0; i < frames; ++i) {
      const double probing = seconds_of([&] { archive::probe_ratio(frame.bytes); });  // also done for a fixed level
      const double choosing = seconds_of([&] { archive.level = levels.choose(frame); });
      choosing_ += std::max(0.0, choosing - probing);
      ByteCount stored = 0;
      const double compressing = seconds_of([&] {
        stored = archive::compress_frame_at(frame.bytes, archive.level, archive::default_frame_size).bytes.size();
      });
      archive.archive_bytes += stored;
      compressing_ += compressing;
      choosing_ += seconds_of([&] { levels.compressed(frame, archive.level, stored, compressing); });
    }
    choosing_ += seconds_of([&] { levels.learn(); });
    pack::PackResult result;
    result.items.assign(objects, {pack::Fate::packed, {}, false});
    result.archives = {archive};
    reporting_ += seconds_of([&] {
      service::report_packed(registry_, {BucketName("cats"), "", {Region("us-east-1")}}, items_, result, {{1, 0.1}},
                             world_.clock.now());
      telemetry::to_emf_lines(registry_.take_changes(), "stack", world_.clock.now());
    });
  }

  os::World world_ = os::system_world();
  compression::Learned learned_{nullptr, world_.clock, [](const Error&) {}};
  compression::LevelChooser chooser_{learned_, {}, world_.entropy};
  const std::string key_ = compression::settings_key(BucketName("cats"), "");
  const compression::CostModel cost_{{}, {Region("us-east-1")}, 2};
  telemetry::Registry registry_{service::all_metrics()};
  const std::string data_ = compression::benchmark_data(archive::default_frame_size);
  const archive::PlannedMember member_{"a.log", object_bytes};
  const std::vector<const archive::PlannedMember*> members_ =
      std::vector<const archive::PlannedMember*>(objects / frames, &member_);
  const std::vector<pack::Item> items_ = std::vector<pack::Item>(objects, {ObjectKey("a.log"), object_bytes});
  double compressing_ = 0, choosing_ = 0, reporting_ = 0;
};

}  // namespace

int main() {
  Overhead().run();
  return 0;
}
