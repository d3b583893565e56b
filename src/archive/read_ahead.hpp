// Bytes of a file in order, the next ones on their way while the present ones are worked on.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// What reading ahead takes; without it, bytes are asked for when they are needed. Borrowed.
struct ReadAheadMeans {
  flow::ThreadPool* connections = nullptr;
  flow::MemoryBudget* budget = nullptr;
};

/// Reads a part of a file by requests that overlap with the work on what came before, and with each other. Not
/// thread-safe. Not to be used by a thread of the pool that it reads on.
class ReadAhead {
 public:
  /// The most bytes that one request asks for.
  static constexpr ByteCount most_request_bytes = 4ULL << 20;
  /// How many bytes from `file_offset` on are known to be wanted: so many, or 256 KiB where they are fewer, are asked
  /// for. 0: perhaps none; they are not read ahead. May throw, which ends the reading.
  using Wanted = std::function<ByteCount(ByteCount file_offset)>;

  /// Bytes `begin` to `end`, which must lie in the file. `source` is borrowed. Reads nothing yet.
  ReadAhead(transfer::RandomSource& source, ByteCount begin, ByteCount end, Wanted wanted, ReadAheadMeans means);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The next bytes; empty at the end. Valid until the next call. Throws what the source and `wanted` throw.
  ByteView next();
  /// Place in the file of what next() gives next.
  ByteCount offset() const noexcept { return offset_; }

 private:
  /// A buffer, and the ticket of those beyond the first.
  struct Slot {
    Buffer bytes;
    flow::Ticket ticket;
  };
  /// A request under way, or its answer.
  struct Block {
    Slot slot;
    std::promise<void> ended;
    std::future<void> end;
  };
  bool start(bool is_needed);
  bool find_slot(Slot& slot);

  transfer::RandomSource& source_;
  const ByteCount end_;
  const Wanted wanted_;
  const ReadAheadMeans means_;
  ByteCount offset_, asked_;  ///< what next() gives next; what is asked for next
  std::size_t slots_ = 0;     ///< all of them, those in use too
  std::vector<Slot> free_;
  std::shared_ptr<Block> present_;
  std::deque<std::shared_ptr<Block>> blocks_;  ///< under way, in their order
  std::atomic<bool> abandoned_{false};
};

}  // namespace bale::archive
