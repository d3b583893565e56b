// Memory as tickets: nothing large is allocated without one. And large buffers that are used again.
#pragma once

#include <condition_variable>
#include <deque>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/mutex.hpp"

namespace bale::flow {

class MemoryBudget;

/// The right to hold some bytes; given back when destroyed. Move-only. Not thread-safe, but may be destroyed by any
/// thread.
class Ticket {
 public:
  Ticket() = default;
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket();
  ByteCount bytes() const noexcept { return bytes_; }
  /// Gives back what is beyond `bytes`.
  void shrink_to(ByteCount bytes) noexcept;
  /// Takes `bytes` (at most bytes()) out of this ticket into one of its own.
  Ticket split(ByteCount bytes) noexcept;
  /// Changes what a ticket of MemoryBudget::charge() counts, at once and whatever else is held; others wait longer
  /// then.
  void charge_to(ByteCount bytes) noexcept;
  /// Limit of the budget it came from; 0 for a ticket of nothing. Whoever hoards tickets while it waits for more bytes
  /// (an upload that fills a part) keeps to a small share of it, or those bytes could never come.
  ByteCount budget_limit() const noexcept;

 private:
  friend class MemoryBudget;
  Ticket(MemoryBudget* budget, ByteCount bytes, bool charged = false)
      : budget_(budget), bytes_(bytes), charged_(charged) {}
  MemoryBudget* budget_ = nullptr;
  ByteCount bytes_ = 0;
  bool charged_ = false;  ///< of charge()
};

/// A buffer with the ticket that pays for it. When destroyed, the buffer goes back to the budget, for the next one who
/// wants its size: the pages of a new buffer cost more than filling it. Move-only. Not thread-safe, but may be
/// destroyed by any thread.
class PaidBuffer {
 public:
  PaidBuffer() = default;
  PaidBuffer(PaidBuffer&& other) noexcept;
  PaidBuffer& operator=(PaidBuffer&&) = delete;
  ~PaidBuffer();
  Buffer bytes;  ///< of a capacity that may be larger than was asked for; may be moved out and back in

 private:
  friend class MemoryBudget;
  PaidBuffer(MemoryBudget* budget, Buffer buffer, Ticket ticket)
      : bytes(std::move(buffer)), budget_(budget), ticket_(std::move(ticket)) {}
  MemoryBudget* budget_ = nullptr;
  Ticket ticket_;
};

/// A number of bytes that may be held at once, handed out first come, first served, so that a large request is not
/// starved. Thread-safe; must outlive its tickets. Work whose results are consumed in order must take its tickets in
/// that order, or the first piece may wait for ever behind the later ones.
class MemoryBudget {
 public:
  explicit MemoryBudget(ByteCount limit) : limit_(limit) {}
  /// Waits until `bytes` are free. A request larger than the limit is granted when nothing else is held.
  /// Throws Error{cancelled} when `stop` is requested first.
  Ticket acquire(ByteCount bytes, std::stop_token stop = {});
  /// The same without waiting: absent when it would have to wait, for memory or for others who came first.
  std::optional<Ticket> try_acquire(ByteCount bytes);

  /// Counts `bytes` as held, at once, whatever else is held: for what grows while it is read and stays while tickets
  /// are waited for, such as the list of an archive's objects. Who calls this bounds it to a share of limit(). A
  /// request that is larger than what is left is granted as soon as nothing but charges is held. Thread-safe.
  Ticket charge(ByteCount bytes = 0);

  /// A buffer of at least `bytes`, and a ticket over `more` bytes besides: taken together, so that whoever needs both
  /// to go on does not hold one while waiting for the other. Throws Error{cancelled}, std::bad_alloc.
  std::pair<PaidBuffer, Ticket> acquire_buffer(ByteCount bytes, ByteCount more, std::stop_token stop = {});
  /// The same without waiting.
  std::optional<std::pair<PaidBuffer, Ticket>> try_acquire_buffer(ByteCount bytes, ByteCount more);

  ByteCount limit() const noexcept { return limit_; }
  /// The most that was ever held at once.
  ByteCount peak() const;
  /// Bytes of the free buffers that are kept; with what is held they never exceed the limit.
  ByteCount kept() const;

 private:
  friend class Ticket;
  friend class PaidBuffer;
  std::pair<PaidBuffer, Ticket> fill(Ticket paid, ByteCount capacity);
  void keep(Buffer buffer) noexcept;
  /// Frees kept buffers until they fit beside what is held.
  void make_room() noexcept BALE_REQUIRES(mutex_);
  void release(ByteCount bytes, bool charged) noexcept;
  void change_charge(ByteCount from, ByteCount to) noexcept;
  bool fits(ByteCount bytes) const noexcept BALE_REQUIRES(mutex_);
  Ticket grant(ByteCount bytes) noexcept BALE_REQUIRES(mutex_);
  const ByteCount limit_;
  mutable Mutex mutex_;
  std::condition_variable_any freed_;
  ByteCount held_ BALE_GUARDED_BY(mutex_) = 0, peak_ BALE_GUARDED_BY(mutex_) = 0;
  ByteCount charged_ BALE_GUARDED_BY(mutex_) = 0;     ///< the part of held_ that is of charge()
  std::vector<Buffer> kept_ BALE_GUARDED_BY(mutex_);  ///< the latest last
  ByteCount kept_bytes_ BALE_GUARDED_BY(mutex_) = 0;
  std::uint64_t next_number_ BALE_GUARDED_BY(mutex_) = 0;
  /// Numbers of those who wait, in the order in which they came.
  std::deque<std::uint64_t> waiting_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::flow
