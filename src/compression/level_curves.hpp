// What levels make of data in general: where learning starts from. Recorded, see docs/benchmarks.md (levels).
#pragma once

#include <array>

#include "compression/gaussian.hpp"

namespace bale::compression {

/// Mean over text and C++ headers, zstd 1.5.4, frames of 2 MiB, of log(stored / probed). [0] is level 1.
inline constexpr Row general_gains{-0.652, -0.688, -0.744, -0.747, -0.824, -0.863, -0.880, -0.890,
                                   -0.891, -0.900, -0.906, -0.906, -0.913, -0.920, -0.923, -0.967,
                                   -0.978, -0.984, -0.991, -0.991, -0.992, -0.992};

/// The same of log(core seconds per byte) on the reference machine: one core of 2.8 GHz, the one of docs/benchmarks.md.
inline constexpr Row general_times{-20.231, -20.083, -19.790, -19.547, -19.066, -18.783, -18.575, -18.401,
                                   -18.354, -18.105, -17.758, -17.744, -16.286, -16.033, -15.816, -15.545,
                                   -15.424, -15.218, -15.057, -15.075, -14.958, -14.878};

/// Copying and the checksum, which is all that level 0 does.
inline constexpr double store_seconds_per_byte = 8e-11;

/// Seconds of the three levels of measure_cpu() on the reference machine.
inline constexpr std::array<double, 3> benchmark_seconds{0.0050, 0.0206, 0.0326};

/// What S3 Cross-Region Compressor writes as the CPU factor of the reference machine: a hundred times the seconds that
/// libzstd's level 10 takes for 4 MiB of random bytes there.
inline constexpr double foreign_factor_of_reference = 4.4;

}  // namespace bale::compression
