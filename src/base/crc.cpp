#include "base/crc.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bale {
namespace {

static_assert(std::endian::native == std::endian::little, "the tables take eight bytes as one number");

using Tables = std::array<std::array<std::uint64_t, 256>, 8>;

/// tables[k][b]: what the byte b does to the register when k more bytes of zeros follow it.
constexpr Tables make_tables(std::uint64_t polynomial) {
  Tables tables{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    std::uint64_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
    tables[0][byte] = value;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = tables[0][tables[k - 1][byte] & 0xFF] ^ (tables[k - 1][byte] >> 8);
  }
  return tables;
}

/// a * b modulo the polynomial. In the reflected form the highest bit of `width` is the power 0.
constexpr std::uint64_t multiply(const CrcPolynomial& crc, std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  for (std::uint64_t bit = std::uint64_t{1} << (crc.width - 1); bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? crc.reflected : 0);
  }
  return product;
}

/// x to the power n modulo the polynomial.
constexpr std::uint64_t power_of_x(const CrcPolynomial& crc, std::uint64_t n) noexcept {
  std::uint64_t result = std::uint64_t{1} << (crc.width - 1);
  std::uint64_t square = std::uint64_t{1} << (crc.width - 2);  // x
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) result = multiply(crc, result, square);
    square = multiply(crc, square, square);
  }
  return result;
}

std::uint64_t step_through(const Tables& tables, std::uint64_t state, const std::byte* at, std::size_t size) noexcept {
  for (; size >= 8; at += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    word ^= state;
    state = 0;
    for (std::size_t i = 0; i < 8; ++i) state ^= tables[7 - i][(word >> (8 * i)) & 0xFF];
  }
  for (; size > 0; ++at, --size) state = tables[0][(state ^ static_cast<std::uint64_t>(*at)) & 0xFF] ^ (state >> 8);
  return state;
}

/// The factors by which 16 bytes move on by `bits`, one for the eight bytes that come first and one for the others. The
/// reflected product of two 64-bit numbers lacks one factor x, hence the 1.
struct Fold {
  std::uint64_t first, second;
};
constexpr Fold fold_by(const CrcPolynomial& crc, std::uint64_t bits) noexcept {
  const unsigned shift = 64 - crc.width;
  return {power_of_x(crc, bits + 64 - 1) << shift, power_of_x(crc, bits - 1) << shift};
}

template <const CrcPolynomial& crc>
struct Engine {
  static constexpr Tables tables = make_tables(crc.reflected);
  static constexpr Fold by_64_bytes = fold_by(crc, 512);
  static constexpr Fold by_16_bytes = fold_by(crc, 128);

#if defined(__x86_64__)
  __attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i value, __m128i factors, __m128i next) noexcept {
    const __m128i product =
        _mm_xor_si128(_mm_clmulepi64_si128(value, factors, 0x00), _mm_clmulepi64_si128(value, factors, 0x11));
    return _mm_xor_si128(product, next);
  }

  /// Folds all whole blocks of 16 bytes into one, which is as many zeros later the same, and steps through that one and
  /// the rest. https://www.intel.com/content/dam/www/public/us/en/documents/white-papers/
  /// fast-crc-computation-generic-polynomials-pclmulqdq-paper.pdf
  __attribute__((target("pclmul,sse4.1"))) static std::uint64_t by_folding(std::uint64_t state, const std::byte* at,
                                                                           std::size_t size) noexcept {
    const auto load = [](const std::byte* from) __attribute__((target("pclmul,sse4.1"))) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    const auto factors_of = [](const Fold& by) __attribute__((target("pclmul,sse4.1"))) {
      return _mm_set_epi64x(static_cast<long long>(by.second), static_cast<long long>(by.first));
    };
    __m128i lanes[4];
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = load(at + 16 * i);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, static_cast<long long>(state)));
    const __m128i far = factors_of(by_64_bytes), near = factors_of(by_16_bytes);
    for (at += 64, size -= 64; size >= 64; at += 64, size -= 64) {
      for (std::size_t i = 0; i < 4; ++i) lanes[i] = fold(lanes[i], far, load(at + 16 * i));
    }
    __m128i all = lanes[0];
    for (std::size_t i = 1; i < 4; ++i) all = fold(all, near, lanes[i]);
    for (; size >= 16; at += 16, size -= 16) all = fold(all, near, load(at));
    std::array<std::byte, 16> block;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(block.data()), all);
    return step_through(tables, step_through(tables, 0, block.data(), block.size()), at, size);
  }

  static bool can_fold() noexcept {
    static const bool can = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
    return can;
  }
#endif

  static std::uint64_t run(std::uint64_t state, ByteView bytes) noexcept {
#if defined(__x86_64__)
    if (bytes.size() >= 64 && can_fold()) return by_folding(state, bytes.data(), bytes.size());
#endif
    return step_through(tables, state, bytes.data(), bytes.size());
  }
};

constexpr std::uint64_t all_bits(const CrcPolynomial& crc) noexcept { return ~std::uint64_t{0} >> (64 - crc.width); }

}  // namespace

std::uint64_t crc_of(const CrcPolynomial& crc, ByteView bytes, std::uint64_t before) noexcept {
  const std::uint64_t start = before ^ all_bits(crc);
  const std::uint64_t end = crc.reflected == crc64nvme.reflected ? Engine<crc64nvme>::run(start, bytes)
                            : crc.reflected == crc32c.reflected  ? Engine<crc32c>::run(start, bytes)
                                                                 : Engine<crc32_ieee>::run(start, bytes);
  return end ^ all_bits(crc);
}

std::uint64_t join_crcs(const CrcPolynomial& crc, std::uint64_t first, std::uint64_t second,
                        ByteCount second_bytes) noexcept {
  return multiply(crc, power_of_x(crc, 8 * second_bytes), first) ^ second;
}

}  // namespace bale
