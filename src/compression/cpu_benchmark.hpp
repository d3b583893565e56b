// How fast this machine compresses, compared with the one whose figures are in level_curves.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "os/clock.hpp"

namespace bale::compression {

/// Data that look like data, `bytes` of them: prose, log lines, JSON, and records of numbers, in turns. The same bytes
/// in every run, on every machine.
std::string benchmark_data(std::size_t bytes);

/// A file that is not there.
struct BenchmarkFile {
  std::string_view name;  ///< static storage
  std::string content;
};
/// One file of `bytes` bytes of each kind: prose, log lines, JSON, records of numbers, and bytes without any pattern,
/// as a picture has them. The same in every run, on every machine.
std::vector<BenchmarkFile> benchmark_files(std::size_t bytes);

struct CpuBenchmark {
  double factor = 1;  ///< core seconds here for one of the reference machine: below 1 is faster
  int rounds = 0;     ///< 0: nothing was measured, the factor is a guess
  Milliseconds spent{0};
};

/// Compresses benchmark_data() with libzstd as archives do, on one core, as often as `limit` allows, and takes the
/// least processor time: other work on the machine only ever adds to it. Ends soon after `limit`, after one round at
/// most some 20 ms later on the reference machine. With a limit of 0 nothing is measured and the factor is 1. Takes
/// measure_cpu_bytes() of memory, of which the thread keeps the compressor.
CpuBenchmark measure_cpu(os::Clock& clock, Milliseconds limit = Milliseconds(1500));

/// Bytes: the compressor, the data, and what they are compressed to.
ByteCount measure_cpu_bytes();

/// The unit in which S3 Cross-Region Compressor writes CPU factors: its own for the machine whose factor is 1 here.
double to_foreign_factor(double factor);

}  // namespace bale::compression
