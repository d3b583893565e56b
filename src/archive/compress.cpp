#include "archive/compress.hpp"

#include <fmt/format.h>
#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_estimateCCtxSize_usingCParams; an estimate only, nothing depends on its ABI
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <new>

#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"

namespace bale::archive {
namespace {

// A frame's window is the whole frame, so that a match may be as far away as the frame allows; decoders refuse more
// than 2^27 bytes unless told otherwise (ZSTD_WINDOWLOG_LIMIT_DEFAULT of zstd.h).
constexpr int min_window_log = 16, max_window_log = 27;
// At fast levels what is far away is out of the cache: looking there costs 5 % of the speed and saves less than 1 %.
constexpr int most_fast_level = 4, max_fast_window_log = 22;

constexpr int fastest_level = 1;
// Samples of the probe: 4 KiB shows repetition and skewed bytes; eight of them cost less than one percent of a frame.
constexpr std::size_t sample_bytes = 4096, sample_count = 8;
// Saving less than this is not worth a slow level: 1/32 (3 %).
constexpr std::size_t least_saving_divisor = 32;

std::size_t checked(std::size_t result, std::string_view doing) {
  if (ZSTD_isError(result) == 0) return result;
  throw Error(ErrorKind::internal, fmt::format("cannot {}: {}", doing, ZSTD_getErrorName(result)));
}

void set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  checked(ZSTD_CCtx_setParameter(context, parameter, value), "set a parameter of zstd");
}

Error damaged(std::size_t result) {
  return Error(ErrorKind::corrupt, fmt::format("the compressed data are damaged: {}", ZSTD_getErrorName(result)));
}

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};
using Compression = std::unique_ptr<ZSTD_CCtx, FreeContext>;
using Decompression = std::unique_ptr<ZSTD_DCtx, FreeContext>;

Compression make_compression() {
  Compression context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  return context;
}

Decompression make_decompression() {
  Decompression context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  return context;
}

int window_log_for(int level, ByteCount frame_size) {
  const int most = level <= most_fast_level ? max_fast_window_log : max_window_log;
  return std::clamp(static_cast<int>(std::bit_width(frame_size - 1)), min_window_log, most);
}

}  // namespace

ByteCount compressed_bound(ByteCount bytes) noexcept { return ZSTD_compressBound(bytes); }

bool is_compressible(ByteView content) {
  if (content.size() < 2 * sample_bytes * sample_count) return true;  // too little to lose
  thread_local const Compression context = make_compression();
  std::byte out[ZSTD_COMPRESSBOUND(sample_bytes)];
  std::size_t compressed = 0;
  const std::size_t stride = (content.size() - sample_bytes) / (sample_count - 1);
  for (std::size_t i = 0; i < sample_count; ++i) {
    const ByteView sample = content.subspan(i * stride, sample_bytes);
    compressed += checked(
        ZSTD_compressCCtx(context.get(), out, sizeof out, sample.data(), sample.size(), fastest_level), "probe");
  }
  constexpr std::size_t sampled = sample_bytes * sample_count;
  return compressed < sampled - sampled / least_saving_divisor;
}

CompressedFrame compress_frame(ByteView content, int level, ByteCount frame_size) {
  // Its tables take tens of megabytes: made once per thread, not once per archive.
  thread_local const Compression context = make_compression();
  ZSTD_CCtx* const zstd = context.get();
  checked(ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters), "reset zstd");
  set(zstd, ZSTD_c_compressionLevel, is_compressible(content) ? level : std::min(level, fastest_level));
  set(zstd, ZSTD_c_contentSizeFlag, 1);
  set(zstd, ZSTD_c_checksumFlag, 1);
  set(zstd, ZSTD_c_windowLog, window_log_for(level, frame_size));
  CompressedFrame frame;
  frame.bytes = Buffer(ZSTD_compressBound(content.size()));
  frame.bytes.resize(checked(
      ZSTD_compress2(zstd, frame.bytes.data(), frame.bytes.capacity(), content.data(), content.size()), "compress"));
  frame.checksum = load_le<std::uint32_t>(frame.bytes.view(), frame.bytes.size() - 4);
  frame.bytes.shrink();
  return frame;
}

ByteCount compressor_bytes(int level, ByteCount frame_size) {
  ZSTD_compressionParameters parameters = ZSTD_getCParams(level, frame_size, 0);
  parameters.windowLog = static_cast<unsigned>(window_log_for(level, frame_size));
  return ZSTD_estimateCCtxSize_usingCParams(parameters);
}

void decompress_frame(ByteView frame, MutableBytes out) {
  // The frame's own claim is compared before a byte is written; the decoder is bounded by the buffer besides.
  const unsigned long long claimed = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (claimed == ZSTD_CONTENTSIZE_ERROR) throw Error(ErrorKind::corrupt, "not a zstd frame");
  if (claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed != out.size()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the frame claims {} bytes, the seek table {}", std::uint64_t{claimed}, out.size()));
  }
  const std::size_t length = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(length) != 0) throw damaged(length);
  if (length != frame.size()) throw Error(ErrorKind::corrupt, "the frame is shorter than the seek table says");
  thread_local const Decompression context = make_decompression();
  const std::size_t result = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(result) != 0) throw damaged(result);
  if (result != out.size())
    throw Error(ErrorKind::corrupt, fmt::format("the frame holds {} bytes instead of {}", result, out.size()));
}

struct StreamDecompressor::State {
  Decompression context = make_decompression();
};

StreamDecompressor::StreamDecompressor(int window_log) : state_(std::make_unique<State>()) {
  checked(ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, window_log), "limit the window of zstd");
}
StreamDecompressor::~StreamDecompressor() = default;

StreamDecompressor::Step StreamDecompressor::step(ByteView input, MutableBytes output) {
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  ZSTD_outBuffer out{output.data(), output.size(), 0};
  const std::size_t result = ZSTD_decompressStream(state_->context.get(), &out, &in);
  if (ZSTD_isError(result) != 0) throw damaged(result);
  return {in.pos, out.pos, result == 0};
}

}  // namespace bale::archive
