// Members of a tar stream, handed on as a FrameVisitor wants them: pieces of at most 8 MiB.
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "archive/reader.hpp"
#include "archive/tar_stream.hpp"
#include "flow/memory_budget.hpp"

namespace bale::archive {

/// Collects pieces of objects in buffers that the budget pays for, and hands each full buffer on as a frame. Not
/// thread-safe. `visitor` and `budget` are borrowed.
class PieceMaker {
 public:
  PieceMaker(FrameVisitor& visitor, flow::MemoryBudget& budget, std::stop_token stop);
  /// Reads the `size` bytes of the tar's present member as the content of each of `objects`. Throws Error{corrupt}
  /// where it has fewer, Error{cancelled}, and as TarStream::read().
  void take(TarStream& tar, const std::vector<std::size_t>& objects, ByteCount size);
  /// Hands on what has been taken.
  void flush();

 private:
  void make_room();
  FrameVisitor& visitor_;
  flow::MemoryBudget& budget_;
  const std::stop_token stop_;
  std::shared_ptr<FrameData> frame_;
  std::vector<MemberPiece> pieces_;
};

}  // namespace bale::archive
