#include "archive/compress.hpp"

#include <fmt/format.h>
#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_estimateCCtxSize_usingCParams; an estimate only, nothing depends on its ABI
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <new>

#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

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

// A frame as RFC 8878 has it, section 3.1.1: magic number, descriptor, content size, blocks, checksum.
constexpr std::uint32_t frame_magic = 0xFD2FB528;
// Descriptor: eight bytes of content size (bits 7-6), which is also the window (bit 5), and a checksum (bit 2).
constexpr std::uint8_t stored_descriptor = 0b1110'0100;
constexpr std::size_t frame_header_bytes = 4 + 1 + 8, block_header_bytes = 3, checksum_bytes = 4;
constexpr std::size_t window_byte_at = 5;           // of a frame that is not one segment
constexpr std::size_t max_block_bytes = 128 << 10;  // Block_Maximum_Size

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

Error too_large_window(ByteCount window, ByteCount most) {
  constexpr ByteCount largest = 1ULL << 31;  // ZSTD_WINDOWLOG_MAX_64
  const bool is_readable = window <= largest;
  const std::string what = fmt::format("a frame was compressed with a window of {}; at most {} are accepted here",
                                       format_bytes(window), format_bytes(most));
  // The program itself, its connections and what is on its way take memory too.
  const ByteCount enough = window + window / 4 + (256ULL << 20);
  return Error(ErrorKind::unsupported, what, {},
               is_readable ? fmt::format("run with --memory-limit {}MiB or more", (enough + (1 << 20) - 1) >> 20)
                           : std::string("decompress it with the program that made it"));
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

/// The content in raw blocks: what libzstd has no level for.
CompressedFrame store_frame(ByteView content) {
  const std::size_t blocks = std::max<std::size_t>(1, (content.size() + max_block_bytes - 1) / max_block_bytes);
  CompressedFrame frame;
  frame.bytes = Buffer(frame_header_bytes + blocks * block_header_bytes + content.size() + checksum_bytes);
  append_le(frame.bytes, frame_magic);
  append_le(frame.bytes, stored_descriptor);
  append_le<std::uint64_t>(frame.bytes, content.size());
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t at = i * max_block_bytes;
    const ByteView block = content.subspan(at, std::min(max_block_bytes, content.size() - at));
    // Whether it is the last (bit 0), its type (bits 2-1: 0 is raw), its size.
    const auto header = static_cast<std::uint32_t>(block.size() << 3 | (i + 1 == blocks ? 1U : 0U));
    append_le(frame.bytes, static_cast<std::uint16_t>(header & 0xFFFF));
    append_le(frame.bytes, static_cast<std::uint8_t>(header >> 16));
    frame.bytes.append(block);
  }
  frame.checksum = static_cast<std::uint32_t>(xxh64(content));
  append_le(frame.bytes, frame.checksum);
  return frame;
}

}  // namespace

// Raw blocks fit as well: they take 20 bytes, and 3 for every 128 KiB more.
ByteCount compressed_bound(ByteCount bytes) noexcept { return ZSTD_compressBound(bytes); }

double probe_ratio(ByteView content) {
  if (content.empty()) return 1;
  thread_local const Compression context = make_compression();
  std::byte out[ZSTD_COMPRESSBOUND(sample_bytes)];
  const std::size_t length = std::min(content.size(), sample_bytes);
  const std::size_t samples = std::clamp<std::size_t>(content.size() / sample_bytes, 1, sample_count);
  const std::size_t stride = samples == 1 ? 0 : (content.size() - length) / (samples - 1);
  std::size_t compressed = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    compressed += checked(
        ZSTD_compressCCtx(context.get(), out, sizeof out, content.data() + i * stride, length, fastest_level), "probe");
  }
  return std::min(1.0, static_cast<double>(compressed) / static_cast<double>(length * samples));
}

bool is_compressible(ByteView content) {
  if (content.size() < 2 * sample_bytes * sample_count) return true;
  return probe_ratio(content) < incompressible_ratio;
}

CompressedFrame compress_frame(ByteView content, int level, ByteCount frame_size) {
  const bool is_wasted = level > fastest_level && !is_compressible(content);
  return compress_frame_at(content, is_wasted ? fastest_level : level, frame_size);
}

CompressedFrame compress_frame_at(ByteView content, int level, ByteCount frame_size) {
  if (level == store_level) return store_frame(content);
  // Its tables take tens of megabytes: made once per thread, not once per archive.
  thread_local const Compression context = make_compression();
  ZSTD_CCtx* const zstd = context.get();
  checked(ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters), "reset zstd");
  set(zstd, ZSTD_c_compressionLevel, level);
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
  if (level == store_level) return 0;
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

FrameExtent measure_frame(ByteView bytes) {
  const unsigned long long content = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (content == ZSTD_CONTENTSIZE_ERROR) throw Error(ErrorKind::corrupt, "not a zstd frame");
  if (content == ZSTD_CONTENTSIZE_UNKNOWN)
    throw Error(ErrorKind::corrupt, "the frame does not say how many bytes it holds");
  const std::size_t compressed = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
  if (ZSTD_isError(compressed) != 0) throw damaged(compressed);
  return {compressed, content};
}

struct StreamDecompressor::State {
  Decompression context = make_decompression();
};

StreamDecompressor::StreamDecompressor(int window_log, bool is_foreign)
    : window_log_(window_log), is_foreign_(is_foreign), state_(std::make_unique<State>()) {
  checked(ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, window_log), "limit the window of zstd");
}
StreamDecompressor::~StreamDecompressor() = default;

void StreamDecompressor::note_header(ByteView input) noexcept {
  while (header_bytes_ < most_header_bytes && header_bytes_ - consumed_ < input.size()) {
    header_[header_bytes_] = input[header_bytes_ - consumed_];
    ++header_bytes_;
  }
}

ByteCount StreamDecompressor::window() const noexcept {
  ZSTD_frameHeader header;
  const std::size_t result = ZSTD_getFrameHeader(&header, header_, header_bytes_);
  // zstd refuses the largest windows before it tells them. RFC 8878, 3.1.1.1.2: an exponent, and eighths of its power.
  if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge && header_bytes_ > window_byte_at) {
    const auto descriptor = std::to_integer<unsigned>(header_[window_byte_at]);
    const ByteCount base = ByteCount{1} << (10 + (descriptor >> 3));
    return base + base / 8 * (descriptor & 7);
  }
  if (result != 0 || header.frameType != ZSTD_frame) return 0;
  return std::min<ByteCount>(header.windowSize, header.frameContentSize);  // the largest number where it is not known
}

/// What is wrong with the present frame: damage, or something that this program cannot do.
Error StreamDecompressor::failure(std::size_t result) const {
  switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_frameParameter_windowTooLarge:
    case ZSTD_error_memory_allocation: return too_large_window(window(), ByteCount{1} << window_log_);
    case ZSTD_error_dictionary_wrong:
      if (!is_foreign_) break;
      return Error(ErrorKind::unsupported,
                   fmt::format("a frame needs the dictionary with ID {}, with which it was compressed",
                               ZSTD_getDictID_fromFrame(header_, header_bytes_)),
                   {}, "decompress the file with zstd -d -D DICTIONARY, and compress it again without a dictionary");
    case ZSTD_error_version_unsupported:
      if (!is_foreign_) break;
      return Error(ErrorKind::unsupported, "a frame is of a version of zstd before 1.0", {},
                   "decompress the file with the program that made it, and compress it again");
    default: break;
  }
  return damaged(result);
}

StreamDecompressor::Step StreamDecompressor::step(ByteView input, MutableBytes output) {
  note_header(input);
  if (window_ == 0) window_ = window();
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  ZSTD_outBuffer out{output.data(), output.size(), 0};
  const std::size_t result = ZSTD_decompressStream(state_->context.get(), &out, &in);
  met_no_frame_ = ZSTD_getErrorCode(result) == ZSTD_error_prefix_unknown;
  if (ZSTD_isError(result) != 0) throw failure(result);
  consumed_ += in.pos;
  const Step done{in.pos, out.pos, result == 0, window_};
  if (result == 0) header_bytes_ = consumed_ = window_ = 0;
  return done;
}

}  // namespace bale::archive
