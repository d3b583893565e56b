// Levels that are chosen frame by frame.
#pragma once

#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

struct PlannedMember;

/// A frame before it is compressed.
struct FrameContent {
  std::vector<const PlannedMember*> members;  ///< with bytes in it; valid during the call
  ByteView bytes;                             ///< tar headers and data
};

/// Chooses the level of each frame, and is told what came of it. Called by many threads at once.
class FrameLevels {
 public:
  virtual ~FrameLevels() = default;
  /// min_level to max_level.
  virtual int choose(const FrameContent& frame) = 0;
  /// `stored`: bytes of the compressed frame. `core_seconds`: processor time that compressing took.
  virtual void compressed(const FrameContent& frame, int level, ByteCount stored, double core_seconds) = 0;
};

}  // namespace bale::archive
