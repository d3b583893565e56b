// Reading of gzip streams. The only code that sees zlib.
#pragma once

#include <functional>
#include <memory>

#include "base/bytes.hpp"

namespace bale {

/// Puts bytes to the start of a buffer. Returns how many; 0 at the end.
using ReadFunction = std::function<std::size_t(MutableBytes)>;

/// Whether the bytes begin as a gzip stream does (RFC 1952: 1f 8b).
bool is_gzip(ByteView start) noexcept;

/// Decompresses a gzip stream, of one member or several. Not thread-safe. Memory: some 100 KiB.
class GzipReader {
 public:
  /// `read` gives the compressed bytes.
  explicit GzipReader(ReadFunction read);
  ~GzipReader();
  GzipReader(GzipReader&&) noexcept;
  GzipReader& operator=(GzipReader&&) noexcept;
  /// Puts decompressed bytes to the start of `bytes`, which is not empty. Returns how many; 0 at the end. Throws
  /// Error{corrupt} for bytes that are no gzip stream, a wrong checksum, and a stream that is cut.
  std::size_t read(MutableBytes bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bale
