#include "flow/memory_budget.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.hpp"

namespace bale::flow {
namespace {

/// Buffers come in powers of two, so that one that was used for a frame fits the next frame too. What is not written is
/// never paid for by the machine.
ByteCount capacity_for(ByteCount bytes) noexcept { return std::bit_ceil(std::max<ByteCount>(bytes, 4096)); }

}  // namespace

Ticket::Ticket(Ticket&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      charged_(other.charged_) {}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    if (budget_ != nullptr) budget_->release(bytes_, charged_);
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    charged_ = other.charged_;
  }
  return *this;
}

Ticket::~Ticket() {
  if (budget_ != nullptr) budget_->release(bytes_, charged_);
}

void Ticket::shrink_to(ByteCount bytes) noexcept {
  if (budget_ == nullptr || bytes >= bytes_) return;
  budget_->release(bytes_ - bytes, charged_);
  bytes_ = bytes;
}

Ticket Ticket::split(ByteCount bytes) noexcept {
  const ByteCount taken = std::min(bytes, bytes_);
  bytes_ -= taken;
  return Ticket(budget_, taken, charged_);
}

void Ticket::charge_to(ByteCount bytes) noexcept {
  if (budget_ == nullptr) return;
  budget_->change_charge(bytes_, bytes);
  bytes_ = bytes;
}

ByteCount Ticket::budget_limit() const noexcept { return budget_ == nullptr ? 0 : budget_->limit(); }

bool MemoryBudget::fits(ByteCount bytes) const noexcept {
  return held_ == charged_ || (held_ <= limit_ && bytes <= limit_ - held_);
}

Ticket MemoryBudget::grant(ByteCount bytes) noexcept {
  held_ += bytes;
  peak_ = std::max(peak_, held_);
  make_room();
  return Ticket(this, bytes);
}

Ticket MemoryBudget::acquire(ByteCount bytes, std::stop_token stop) {
  Lock lock(mutex_);
  const std::uint64_t number = next_number_++;
  waiting_.push_back(number);
  const bool granted =
      freed_.wait(lock, stop, [&]() BALE_REQUIRES(mutex_) { return waiting_.front() == number && fits(bytes); });
  std::erase(waiting_, number);
  freed_.notify_all();  // another one is the first now
  if (!granted) throw Error(ErrorKind::cancelled, "stopped while waiting for memory");
  return grant(bytes);
}

std::optional<Ticket> MemoryBudget::try_acquire(ByteCount bytes) {
  const Lock lock(mutex_);
  if (!waiting_.empty() || !fits(bytes)) return std::nullopt;
  return grant(bytes);
}

Ticket MemoryBudget::charge(ByteCount bytes) {
  change_charge(0, bytes);
  return Ticket(this, bytes, /*charged=*/true);
}

void MemoryBudget::change_charge(ByteCount from, ByteCount to) noexcept {
  const Lock lock(mutex_);
  held_ += to - from;  // unsigned arithmetic: the sum stays right
  charged_ += to - from;
  peak_ = std::max(peak_, held_);
  make_room();
  if (to < from) freed_.notify_all();
}

std::pair<PaidBuffer, Ticket> MemoryBudget::acquire_buffer(ByteCount bytes, ByteCount more, std::stop_token stop) {
  const ByteCount capacity = capacity_for(bytes);
  return fill(acquire(capacity + more, std::move(stop)), capacity);
}

std::optional<std::pair<PaidBuffer, Ticket>> MemoryBudget::try_acquire_buffer(ByteCount bytes, ByteCount more) {
  const ByteCount capacity = capacity_for(bytes);
  auto paid = try_acquire(capacity + more);
  if (!paid) return std::nullopt;
  return fill(std::move(*paid), capacity);
}

std::pair<PaidBuffer, Ticket> MemoryBudget::fill(Ticket paid, ByteCount capacity) {
  Ticket for_buffer = paid.split(capacity);
  {
    const Lock lock(mutex_);
    const auto latest =
        std::find_if(kept_.rbegin(), kept_.rend(), [&](const Buffer& buffer) { return buffer.capacity() == capacity; });
    if (latest != kept_.rend()) {
      Buffer buffer = std::move(*latest);
      kept_.erase(std::next(latest).base());
      kept_bytes_ -= capacity;
      return {PaidBuffer(this, std::move(buffer), std::move(for_buffer)), std::move(paid)};
    }
  }
  return {PaidBuffer(this, Buffer(capacity), std::move(for_buffer)), std::move(paid)};
}

void MemoryBudget::keep(Buffer buffer) noexcept {
  const ByteCount capacity = buffer.capacity();
  if (capacity == 0) return;
  buffer.resize(0);
  const Lock lock(mutex_);
  if (held_ + kept_bytes_ + capacity > limit_) return;
  try {
    kept_.push_back(std::move(buffer));
    kept_bytes_ += capacity;
  } catch (const std::bad_alloc&) {
    // No memory to remember it: then it is better freed.
  }
}

void MemoryBudget::make_room() noexcept {
  while (!kept_.empty() && held_ + kept_bytes_ > limit_) {
    kept_bytes_ -= kept_.front().capacity();
    kept_.erase(kept_.begin());  // the one that was unused longest
  }
}

ByteCount MemoryBudget::kept() const {
  const Lock lock(mutex_);
  return kept_bytes_;
}

PaidBuffer::PaidBuffer(PaidBuffer&& other) noexcept
    : bytes(std::move(other.bytes)),
      budget_(std::exchange(other.budget_, nullptr)),
      ticket_(std::move(other.ticket_)) {}

PaidBuffer::~PaidBuffer() {
  if (budget_ == nullptr) return;
  ticket_ = {};  // first, so that there is room to keep the buffer
  budget_->keep(std::move(bytes));
}

ByteCount MemoryBudget::peak() const {
  const Lock lock(mutex_);
  return peak_;
}

void MemoryBudget::release(ByteCount bytes, bool charged) noexcept {
  const Lock lock(mutex_);
  held_ -= bytes;
  if (charged) charged_ -= bytes;
  freed_.notify_all();
}

}  // namespace bale::flow
