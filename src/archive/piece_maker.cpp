#include "archive/piece_maker.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t piece_bytes = 8ULL << 20;  // see Reader::read
constexpr std::size_t most_pieces = 10'000;

}  // namespace

PieceMaker::PieceMaker(FrameVisitor& visitor, flow::MemoryBudget& budget, std::stop_token stop)
    : visitor_(visitor), budget_(budget), stop_(std::move(stop)) {}

void PieceMaker::take(TarStream& tar, const std::vector<std::size_t>& objects, ByteCount size) {
  for (ByteCount offset = 0; offset == 0 || offset < size;) {
    make_room();
    const std::size_t length = std::min<ByteCount>(size - offset, frame_->bytes.spare().size());
    const MutableBytes into = frame_->bytes.spare().first(length);
    if (tar.read(into) < length) throw Error(ErrorKind::corrupt, "a member ends early");
    frame_->bytes.resize(frame_->bytes.size() + length);
    for (const std::size_t object : objects) pieces_.push_back({object, offset, into});
    offset += length;
    if (length == 0) break;
  }
}

void PieceMaker::make_room() {
  if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive");
  if (frame_ && !frame_->bytes.spare().empty() && pieces_.size() < most_pieces) return;
  flush();
  auto frame = std::make_shared<FrameData>();
  frame->ticket = budget_.acquire(piece_bytes, stop_);
  frame->bytes = Buffer(piece_bytes);
  frame_ = std::move(frame);
}

void PieceMaker::flush() {
  if (frame_ && !pieces_.empty()) visitor_.frame(std::move(frame_), pieces_);
  frame_.reset();
  pieces_.clear();
}

}  // namespace bale::archive
