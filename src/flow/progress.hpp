// How far a long job is.
#pragma once

#include <atomic>
#include <cstdint>

namespace bale::flow {

/// Counters that workers raise and a printer reads. Thread-safe. A total of 0 means not known.
struct Progress {
  std::atomic<std::uint64_t> items_done{0}, items_total{0};
  std::atomic<std::uint64_t> bytes_done{0}, bytes_total{0};
  std::atomic<std::uint64_t> items_failed{0};
};

}  // namespace bale::flow
