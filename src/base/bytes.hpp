// Byte views, owned buffers, and sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace bale {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// The bytes of a string, without copying; valid as long as the string.
inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
/// The characters of bytes, without copying; valid as long as the bytes.
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Owned bytes that are not zeroed when made, unlike std::vector: pages that are never written are never paid for.
/// Move-only. Not thread-safe; ownership moves between threads.
class Buffer {
 public:
  /// From here on a buffer starts on a page, so that files can take it without a copy (os::WritableFile).
  static constexpr std::size_t large_bytes = 1 << 20;

  Buffer() = default;
  /// `capacity` bytes, size 0. Throws std::bad_alloc.
  explicit Buffer(std::size_t capacity);
  /// Leaves `other` empty, with capacity 0.
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::byte* data() noexcept { return data_.get(); }
  const std::byte* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  ByteView view() const noexcept { return {data_.get(), size_}; }
  /// The bytes after size(), to be written and then claimed with resize().
  MutableBytes spare() noexcept { return {data_.get() + size_, capacity_ - size_}; }
  /// Sets the size; `size` must not exceed capacity().
  void resize(std::size_t size) noexcept { size_ = size; }
  /// Copies `bytes` behind the present content; they must fit into the capacity.
  void append(ByteView bytes) noexcept;
  /// Gives memory beyond size() back to the system where that saves at least a quarter.
  void shrink();

 private:
  struct Free {
    void operator()(std::byte* bytes) const noexcept;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// A number of bytes.
using ByteCount = std::uint64_t;

namespace literals {
constexpr ByteCount operator""_KiB(unsigned long long n) { return n << 10; }
constexpr ByteCount operator""_MiB(unsigned long long n) { return n << 20; }
constexpr ByteCount operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

/// "0 B", "1023 B", "1.5 KiB", "8.0 MiB": for people.
std::string format_bytes(ByteCount bytes);
/// Reads "8388608", "8MiB", "8M", "1.5GiB", "10KB" (K, M, G, T with or without iB are powers of 1024; KB, MB, GB, TB
/// are powers of 1000). Throws Error{invalid} naming the text.
ByteCount parse_bytes(std::string_view text);

}  // namespace bale
