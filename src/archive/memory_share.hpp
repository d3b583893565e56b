// The memory that what describes an archive may take: its list of objects and of frames.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "flow/memory_budget.hpp"

namespace bale::archive {

/// The share of a process that has no memory limit of its own.
inline constexpr ByteCount default_memory_share = 1ULL << 30;

/// Counts what an archive's description takes, against a bound and in a budget. Move-only. Not thread-safe.
class MemoryShare {
 public:
  /// `most` bytes, counted in no budget.
  explicit MemoryShare(ByteCount most = default_memory_share) : most_(most) {}
  /// A quarter of a budget, counted in it. `budget` is borrowed, and outlives this.
  explicit MemoryShare(flow::MemoryBudget& budget) : most_(budget.limit() / 4), ticket_(budget.charge()) {}

  ByteCount most() const noexcept { return most_; }
  ByteCount taken() const noexcept { return taken_; }
  /// Counts `bytes` more, before they are taken. Throws Error{unsupported} where that exceeds the share: "`what` take
  /// more than 48 MiB of memory", with the --memory-limit that is enough for twice as much in its hint.
  void add(ByteCount bytes, std::string_view what);
  /// Counts `bytes` less.
  void give_back(ByteCount bytes) noexcept;

 private:
  static constexpr ByteCount step_bytes = 64 << 10;  ///< so often is the budget told
  ByteCount most_, taken_ = 0;
  flow::Ticket ticket_;
};

}  // namespace bale::archive
