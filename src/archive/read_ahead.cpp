#include "archive/read_ahead.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace bale::archive {
namespace {

constexpr ByteCount least_request_bytes = 256 << 10;
// As many as hide a round trip of 100 ms at 40 MiB/s a connection.
constexpr std::size_t most_slots = 8;
// Tickets are kept while whoever uses the bytes waits for memory of his own: a small share of the budget, or that
// memory might never come (flow::Ticket::budget_limit()).
constexpr ByteCount hoard_divisor = 16;

}  // namespace

ReadAhead::ReadAhead(transfer::RandomSource& source, ByteCount begin, ByteCount end, Wanted wanted,
                     ReadAheadMeans means)
    : source_(source), end_(end), wanted_(std::move(wanted)), means_(means), offset_(begin), asked_(begin) {}

ReadAhead::~ReadAhead() {
  abandoned_ = true;
  // Tickets go back here, not when a pool lets go of its task: the budget may be gone then.
  if (present_) free_.push_back(std::move(present_->slot));
  for (const auto& block : blocks_) {
    block->end.wait();
    free_.push_back(std::move(block->slot));
  }
}

ByteView ReadAhead::next() {
  if (present_) free_.push_back(std::move(std::exchange(present_, nullptr)->slot));
  while (start(blocks_.empty())) {
  }
  if (blocks_.empty()) return {};
  present_ = std::move(blocks_.front());
  blocks_.pop_front();
  present_->end.get();
  offset_ += present_->slot.bytes.size();
  return present_->slot.bytes.view();
}

/// Starts one more request; false where nothing is left, or nothing more is to be read ahead now.
bool ReadAhead::start(bool is_needed) {
  const ByteCount left = end_ - asked_;
  if (left == 0 || blocks_.size() == most_slots) return false;
  const ByteCount wanted = wanted_ ? wanted_(asked_) : most_request_bytes;
  Slot slot;
  if ((wanted == 0 && !is_needed) || !find_slot(slot)) return false;
  const ByteCount length = std::min({left, std::max(wanted, least_request_bytes), ByteCount{slot.bytes.capacity()}});
  slot.bytes.resize(length);
  auto block = std::make_shared<Block>();
  block->slot = std::move(slot);
  block->end = block->ended.get_future();
  const auto read = [this, block, at = asked_] {
    try {
      if (!abandoned_) source_.read_at(at, {block->slot.bytes.data(), block->slot.bytes.size()});
      block->ended.set_value();
    } catch (...) {
      block->ended.set_exception(std::current_exception());
    }
  };
  if (means_.connections != nullptr)
    means_.connections->submit(read);
  else
    read();
  blocks_.push_back(std::move(block));
  asked_ += length;
  return true;
}

/// The first is there without a ticket: nothing could be read without it.
bool ReadAhead::find_slot(Slot& slot) {
  if (!free_.empty()) {
    slot = std::move(free_.back());
    free_.pop_back();
    return true;
  }
  const ByteCount bytes = std::min(most_request_bytes, end_ - asked_);
  if (slots_ > 0) {
    if (means_.connections == nullptr || means_.budget == nullptr || slots_ == most_slots) return false;
    if (slots_ * most_request_bytes > means_.budget->limit() / hoard_divisor) return false;
    auto ticket = means_.budget->try_acquire(bytes);
    if (!ticket) return false;
    slot.ticket = std::move(*ticket);
  }
  slot.bytes = Buffer(bytes);
  ++slots_;
  return true;
}

}  // namespace bale::archive
