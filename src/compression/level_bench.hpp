// Levels tried on some content, one by one: ratio, speed, and the level that saves most. Compresses on the calling
// thread; reads and writes nothing.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "compression/content_class.hpp"
#include "compression/level_model.hpp"
#include "os/clock.hpp"

namespace bale::compression {

/// A file, or a piece of one.
struct BenchPiece {
  std::string name;
  std::string content;
};

/// What is compressed at once.
struct BenchFrame {
  std::string content;
  ContentClass content_class;
  double probed_ratio = 1;  ///< of archive::probe_ratio()
};

/// Puts pieces of one group together, in their order, until a frame has `frame_size` bytes: as archives do, where like
/// lies beside like. A piece that is larger becomes a frame as it is; empty ones are left out.
std::vector<BenchFrame> make_bench_frames(std::vector<BenchPiece> pieces, ByteCount frame_size);

/// A level that was tried.
struct LevelFigures {
  int level = 0;
  Outcome sum;  ///< over the frames it was tried on; seconds of this machine
};

/// What was found of one content class.
struct ClassFigures {
  std::string name;                  ///< "text-1"
  std::size_t frames = 0;            ///< there; time may not have sufficed for all
  double bytes = 0;                  ///< of these
  double probed_ratio = 1;           ///< mean over the bytes
  std::vector<LevelFigures> levels;  ///< in the order asked for; fewer where time ran out
  std::optional<int> best_level;     ///< that saves most, of those tried and 0; nothing where none was tried
};

struct BenchLimits {
  std::vector<int> levels;  ///< to try, each 0 to max_level
  Milliseconds time{0};     ///< until nothing new is begun
  ByteCount frame_size = 0;
};

struct BenchResult {
  std::vector<ClassFigures> classes;  ///< most bytes first
  bool is_complete = true;            ///< every level was tried on every frame
};

/// Tries the levels on the frames: on one frame of each class first, then on the next ones. The levels of a class are
/// tried on the same frames, so that they can be compared; only of the first frames may some lack levels. Ends soon
/// after limits.time: after what one frame takes at one level at most. `tried(done, all)` is told now and then how many
/// pairs of frame and level are done. Throws Error{cancelled} when `stop` is requested.
BenchResult try_levels(const std::vector<BenchFrame>& frames, const BenchLimits& limits, const Workplace& place,
                       os::Clock& clock, const std::stop_token& stop,
                       const std::function<void(std::size_t, std::size_t)>& tried);

}  // namespace bale::compression
