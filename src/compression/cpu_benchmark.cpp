#include "compression/cpu_benchmark.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "archive/compress.hpp"
#include "compression/level_curves.hpp"
#include "os/process_use.hpp"

namespace bale::compression {
namespace {

constexpr std::size_t data_bytes = 1 << 20;
// One fast, two middling: what processors differ in (clock, caches, memory) shows differently in each.
constexpr std::array<int, 3> levels{3, 9, 12};

/// splitmix64 (https://prng.di.unimi.it/splitmix64.c): equal on all machines, unlike distributions of the library.
class Numbers {
 public:
  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  /// Below `end`, small numbers more often: as words of a language and users of a service are.
  std::uint64_t skewed(std::uint64_t end) { return std::min((*this)() % end, (*this)() % end); }

 private:
  std::uint64_t state_ = 42;
};

constexpr std::array<std::string_view, 48> words{
    "the",     "of",     "and",     "to",     "in",      "is",      "that",   "for",    "it",       "as",
    "was",     "with",   "be",      "by",     "on",      "not",     "this",   "are",    "or",       "from",
    "object",  "bucket", "region",  "key",    "archive", "frame",   "level",  "price",  "transfer", "between",
    "measure", "time",   "which",   "before", "after",   "copy",    "data",   "stored", "smaller",  "writes",
    "nothing", "every",  "without", "system", "machine", "request", "answer", "second"};

void add_prose(std::string& out, Numbers& numbers) {
  for (int i = 0; i < 200; ++i) {
    out += words[numbers.skewed(words.size())];
    out += numbers() % 11 == 0 ? ".\n" : " ";
  }
}

void add_log(std::string& out, Numbers& numbers) {
  for (int i = 0; i < 12; ++i) {
    out +=
        fmt::format("2025-03-{:02}T{:02}:{:02}:{:02}.{:03}Z INFO request id={:016x} path=/v1/{}/{} status={} ms={}\n",
                    1 + numbers() % 28, numbers() % 24, numbers() % 60, numbers() % 60, numbers() % 1000, numbers(),
                    words[numbers.skewed(words.size())], numbers.skewed(100'000), numbers() % 9 == 0 ? 404 : 200,
                    numbers.skewed(2000));
  }
}

void add_json(std::string& out, Numbers& numbers) {
  for (int i = 0; i < 10; ++i) {
    out += fmt::format(R"({{"id":{},"name":"{}-{}","tags":["{}","{}"],"price":{}.{:02},"ok":{}}},)",
                       numbers() % 1'000'000, words[numbers.skewed(words.size())], numbers.skewed(1000),
                       words[numbers.skewed(words.size())], words[numbers.skewed(words.size())], numbers.skewed(500),
                       numbers() % 100, numbers() % 3 == 0 ? "false" : "true");
  }
}

/// Little-endian counters, a slowly changing reading, and a few noisy bytes.
void add_records(std::string& out, Numbers& numbers) {
  std::uint32_t reading = 50'000;
  for (std::uint32_t i = 0; i < 60; ++i) {
    reading += static_cast<std::uint32_t>(numbers() % 65) - 32;
    for (const std::uint32_t value : {i, reading, static_cast<std::uint32_t>(numbers())})
      for (int byte = 0; byte < 4; ++byte) out += static_cast<char>(value >> (8 * byte) & 0xFF);
  }
}

void add_noise(std::string& out, Numbers& numbers) {
  const std::uint64_t number = numbers();
  for (int byte = 0; byte < 8; ++byte) out += static_cast<char>(number >> (8 * byte) & 0xFF);
}

}  // namespace

std::vector<BenchmarkFile> benchmark_files(std::size_t bytes) {
  using Add = void (*)(std::string&, Numbers&);
  constexpr std::array<std::pair<std::string_view, Add>, 5> kinds{{{"prose.txt", add_prose},
                                                                   {"requests.log", add_log},
                                                                   {"items.json", add_json},
                                                                   {"readings.raw", add_records},
                                                                   {"picture.jpg", add_noise}}};
  std::vector<BenchmarkFile> files;
  for (const auto& [name, add] : kinds) {
    Numbers numbers;
    std::string content;
    content.reserve(bytes + (4 << 10));
    while (content.size() < bytes) add(content, numbers);
    content.resize(bytes);
    files.push_back({name, std::move(content)});
  }
  return files;
}

std::string benchmark_data(std::size_t bytes) {
  Numbers numbers;
  std::string out;
  out.reserve(bytes + (16 << 10));
  while (out.size() < bytes) {
    add_prose(out, numbers);
    add_log(out, numbers);
    add_json(out, numbers);
    add_records(out, numbers);
  }
  out.resize(bytes);
  return out;
}

CpuBenchmark measure_cpu(os::Clock& clock, Milliseconds limit) {
  CpuBenchmark result;
  const auto start = clock.steady();
  if (limit <= Milliseconds(0)) return result;
  const std::string data = benchmark_data(data_bytes);
  const auto since = [&](auto time) { return std::chrono::duration<double>(clock.steady() - time).count(); };
  std::array<double, levels.size()> least{};
  const double seconds = std::chrono::duration<double>(limit).count();
  do {
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const auto before = os::thread_processor_time();
      archive::compress_frame(as_bytes(data), levels[i], data.size());
      const double taken = (os::thread_processor_time() - before).count();
      least[i] = result.rounds == 0 ? taken : std::min(least[i], taken);
    }
    ++result.rounds;
  } while (since(start) < seconds);
  double log_factor = 0;
  for (std::size_t i = 0; i < levels.size(); ++i)
    log_factor += std::log(std::max(least[i], 1e-9) / benchmark_seconds[i]) / levels.size();
  result.factor = std::exp(log_factor);
  result.spent = std::chrono::duration_cast<Milliseconds>(clock.steady() - start);
  return result;
}

ByteCount measure_cpu_bytes() {
  ByteCount compressor = 0;
  for (const int level : levels) compressor = std::max(compressor, archive::compressor_bytes(level, data_bytes));
  return compressor + data_bytes + archive::compressed_bound(data_bytes);
}

double to_foreign_factor(double factor) { return factor * foreign_factor_of_reference; }

}  // namespace bale::compression
