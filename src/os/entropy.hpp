// Randomness as a parameter.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace bale::os {

/// Where random bytes come from. Thread-safe.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(MutableBytes bytes) = 0;
  std::uint64_t next_u64();
};

/// getrandom(2); never destroyed.
Entropy& system_entropy();

}  // namespace bale::os
