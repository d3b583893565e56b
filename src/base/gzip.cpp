#include "base/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <utility>

#include "base/error.hpp"

namespace bale {
namespace {

constexpr std::size_t input_bytes = 64 << 10;
constexpr int gzip_window = 15 + 16;  // inflateInit2: the largest window, and a gzip header

}  // namespace

struct GzipReader::State {
  explicit State(ReadFunction from) : read(std::move(from)) {
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw std::bad_alloc();
  }
  ~State() { inflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const ReadFunction read;
  z_stream stream{};
  std::array<std::byte, input_bytes> input;
  bool is_in_member = false;
  bool has_any = false;

  /// Returns false at the end of the compressed bytes.
  bool fill() {
    if (stream.avail_in > 0) return true;
    const std::size_t got = read(input);
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(got);
    return got > 0;
  }
};

bool is_gzip(ByteView start) noexcept {
  return start.size() >= 2 && start[0] == std::byte{0x1f} && start[1] == std::byte{0x8b};
}

GzipReader::GzipReader(ReadFunction read) : state_(std::make_unique<State>(std::move(read))) {}
GzipReader::~GzipReader() = default;
GzipReader::GzipReader(GzipReader&&) noexcept = default;
GzipReader& GzipReader::operator=(GzipReader&&) noexcept = default;

std::size_t GzipReader::read(MutableBytes bytes) {
  State& state = *state_;
  z_stream& stream = state.stream;
  const std::size_t room = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(room);
  while (stream.avail_out == room) {
    if (!state.fill()) {
      if (state.has_any && !state.is_in_member) return 0;
      throw Error(ErrorKind::corrupt, "the gzip stream is cut");
    }
    state.is_in_member = true;
    state.has_any = true;
    const int status = inflate(&stream, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      state.is_in_member = false;
      inflateReset(&stream);
    } else if (status == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      throw Error(ErrorKind::corrupt, "the gzip stream is damaged");
    }
  }
  return room - stream.avail_out;
}

}  // namespace bale
