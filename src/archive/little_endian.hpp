// Numbers as the zstd formats store them: least significant byte first.
#pragma once

#include <concepts>

#include "base/bytes.hpp"

namespace bale::archive {

/// Reads a number at `at`, which must leave enough bytes.
template <std::unsigned_integral T>
T load_le(ByteView bytes, std::size_t at) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[at + i]) << (8 * i)));
  }
  return value;
}

/// Appends a number; it must fit into the capacity.
template <std::unsigned_integral T>
void append_le(Buffer& out, T value) noexcept {
  std::byte bytes[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  out.append(bytes);
}

}  // namespace bale::archive
