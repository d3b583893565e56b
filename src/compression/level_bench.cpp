#include "compression/level_bench.hpp"

#include <algorithm>
#include <map>

#include "archive/compress.hpp"
#include "base/error.hpp"
#include "compression/level_curves.hpp"
#include "os/process_use.hpp"

namespace bale::compression {
namespace {

struct Tried {
  int level = 0;
  Outcome outcome;
};

/// The frames of one class, and what the levels made of those that all of them were tried on.
struct ClassWork {
  std::vector<const BenchFrame*> frames;
  std::vector<Tried> round;  ///< of the frame that is being tried
  std::vector<Tried> kept;
};

class Bench {
 public:
  Bench(const BenchLimits& limits, const Workplace& place, os::Clock& clock, const std::stop_token& stop,
        const std::function<void(std::size_t, std::size_t)>& tried)
      : limits_(limits), place_(place), clock_(clock), stop_(stop), tried_(tried), start_(clock.steady()) {}

  BenchResult run(const std::vector<BenchFrame>& frames) {
    for (const BenchFrame& frame : frames) classes_[frame.content_class.name()].frames.push_back(&frame);
    all_ = frames.size() * limits_.levels.size();
    std::size_t rounds = 0;
    for (const auto& [name, work] : classes_) rounds = std::max(rounds, work.frames.size());
    BenchResult result;
    for (std::size_t round = 0; round < rounds && result.is_complete; ++round) {
      result.is_complete = try_round(round);
      for (auto& [name, work] : classes_) {
        // Of a round that was cut short some levels know more than others: good for a first look only.
        if (result.is_complete || round == 0) work.kept.insert(work.kept.end(), work.round.begin(), work.round.end());
        work.round.clear();
      }
    }
    for (const auto& [name, work] : classes_) result.classes.push_back(figures_of(name, work));
    std::stable_sort(result.classes.begin(), result.classes.end(),
                     [](const ClassFigures& a, const ClassFigures& b) { return a.bytes > b.bytes; });
    return result;
  }

 private:
  /// Every level on frame `round` of every class. Returns whether time sufficed.
  bool try_round(std::size_t round) {
    for (const int level : limits_.levels) {
      for (auto& [name, work] : classes_) {
        if (round >= work.frames.size()) continue;
        if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
        if (done_ > 0 && clock_.steady() - start_ >= limits_.time) return false;
        try_level(level, *work.frames[round], work);
        tried_(++done_, all_);
      }
    }
    return true;
  }

  void try_level(int level, const BenchFrame& frame, ClassWork& work) const {
    const auto bytes = static_cast<double>(frame.content.size());
    const auto before = os::thread_processor_time();
    const archive::CompressedFrame made =
        archive::compress_frame(as_bytes(frame.content), level, std::max<ByteCount>(limits_.frame_size, 1));
    const double seconds = (os::thread_processor_time() - before).count();
    work.round.push_back({level, {bytes, static_cast<double>(made.bytes.size()), std::max(0.0, seconds)}});
  }

  ClassFigures figures_of(const std::string& name, const ClassWork& work) const {
    ClassFigures figures{.name = name, .frames = work.frames.size()};
    double probed = 0;
    for (const BenchFrame* frame : work.frames) {
      figures.bytes += static_cast<double>(frame->content.size());
      probed += static_cast<double>(frame->content.size()) * frame->probed_ratio;
    }
    figures.probed_ratio = probed / figures.bytes;
    std::map<int, Outcome> sums;
    for (const Tried& tried : work.kept) {
      Outcome& sum = sums[tried.level];
      sum.bytes += tried.outcome.bytes;
      sum.stored += tried.outcome.stored;
      sum.core_seconds += tried.outcome.core_seconds;
    }
    for (const int level : limits_.levels)
      if (sums.contains(level)) figures.levels.push_back({level, sums[level]});
    figures.best_level = best_of(figures.levels);
    return figures;
  }

  std::optional<int> best_of(const std::vector<LevelFigures>& levels) const {
    if (levels.empty()) return std::nullopt;
    // Storing needs no trial: what it comes to is known.
    const double store = place_.cost.benefit({1, 1, store_seconds_per_byte * place_.cpu_factor});
    int best = archive::store_level;
    double most = store;
    for (const LevelFigures& each : levels) {
      const double per_byte = place_.cost.benefit(each.sum) / each.sum.bytes;
      if (each.level == archive::store_level || per_byte <= most) continue;
      best = each.level;
      most = per_byte;
    }
    return best;
  }

  const BenchLimits& limits_;
  const Workplace& place_;
  os::Clock& clock_;
  const std::stop_token& stop_;
  const std::function<void(std::size_t, std::size_t)>& tried_;
  const std::chrono::steady_clock::time_point start_;
  std::map<std::string, ClassWork> classes_;
  std::size_t done_ = 0, all_ = 0;
};

}  // namespace

std::vector<BenchFrame> make_bench_frames(std::vector<BenchPiece> pieces, ByteCount frame_size) {
  std::vector<BenchFrame> frames;
  std::vector<std::string> names;                ///< of the first piece of each frame
  std::map<std::string_view, std::size_t> open;  ///< by group: the frame that takes the next piece
  for (BenchPiece& piece : pieces) {
    if (piece.content.empty()) continue;
    const std::string_view group = classify(piece.name, 1).group;
    const auto found = open.find(group);
    if (found == open.end() || frames[found->second].content.size() + piece.content.size() > frame_size) {
      open[group] = frames.size();
      frames.push_back({std::move(piece.content), {}, 1});
      names.push_back(std::move(piece.name));
    } else {
      frames[found->second].content += piece.content;
      piece.content = std::string();
    }
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].probed_ratio = archive::probe_ratio(as_bytes(frames[i].content));
    frames[i].content_class = classify(names[i], frames[i].probed_ratio);
  }
  return frames;
}

BenchResult try_levels(const std::vector<BenchFrame>& frames, const BenchLimits& limits, const Workplace& place,
                       os::Clock& clock, const std::stop_token& stop,
                       const std::function<void(std::size_t, std::size_t)>& tried) {
  return Bench(limits, place, clock, stop, tried).run(frames);
}

}  // namespace bale::compression
