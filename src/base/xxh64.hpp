// XXH64 of bytes that come piece by piece; of bytes in memory: base/hash.hpp.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

namespace bale {

/// One running XXH64 with seed 0. Not thread-safe. Move-only.
class Xxh64 {
 public:
  Xxh64();
  ~Xxh64();
  Xxh64(Xxh64&&) noexcept;
  Xxh64& operator=(Xxh64&&) noexcept;
  void update(ByteView bytes);
  /// The hash of all bytes so far.
  std::uint64_t value() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bale
