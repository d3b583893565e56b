// Records what every compression level makes of real data, and how long it takes: the curves of level_simulation.
//
//   level_recorder [--chunk-bytes N] [--chunks N] NAME=DIRECTORY... > curves.csv
//
// The files of a directory, in the order of their paths, are one stream; chunks spread over it are compressed at every
// level as an archive's frames are. bench/levels/record.sh gathers the directories. Columns: docs/benchmarks.md.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "archive/compress.hpp"
#include "archive/writer.hpp"

namespace {

using namespace bale;
namespace fs = std::filesystem;

struct Options {
  std::size_t chunk_bytes = 4 << 20;
  std::size_t chunks = 8;
  std::vector<std::pair<std::string, fs::path>> kinds;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--chunk-bytes" && i + 1 < argc) {
      options.chunk_bytes = std::stoul(argv[++i]);
    } else if (argument == "--chunks" && i + 1 < argc) {
      options.chunks = std::stoul(argv[++i]);
    } else if (const std::size_t equals = argument.find('='); equals != std::string::npos) {
      options.kinds.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
    } else {
      throw std::runtime_error("what is " + argument + "?");
    }
  }
  return options;
}

std::string content_of(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string content;
  for (const fs::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    content.append(std::istreambuf_iterator<char>(stream), {});
  }
  return content;
}

double thread_cpu_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

/// Processor seconds of compressing once: the least of several times where that is cheap.
double time_level(ByteView content, int level, std::size_t& stored) {
  double least = 1e9, all = 0;
  for (int round = 0; round < 5 && all < 0.3; ++round) {
    const double start = thread_cpu_seconds();
    stored = archive::compress_frame(content, level, content.size()).bytes.size();
    least = std::min(least, thread_cpu_seconds() - start);
    all += least;
  }
  return least;
}

void record(const std::string& kind, const std::string& content, const Options& options) {
  // The chunks of a short stream may overlap a little at their ends.
  if (options.chunks < 2 || content.size() < options.chunk_bytes * options.chunks * 9 / 10)
    throw std::runtime_error(fmt::format("{}: {} bytes are too few", kind, content.size()));
  const std::size_t stride = (content.size() - options.chunk_bytes) / (options.chunks - 1);
  for (std::size_t chunk = 0; chunk < options.chunks; ++chunk) {
    const ByteView bytes = as_bytes(content).subspan(chunk * stride, options.chunk_bytes);
    const double probe = archive::probe_ratio(bytes);
    for (int level = archive::min_level; level <= archive::max_level; ++level) {
      std::size_t stored = 0;
      const double seconds = time_level(bytes, level, stored);
      std::cout << fmt::format("{},{},{},{},{:.5f},{},{:.6f}\n", kind, chunk, level, bytes.size(), probe, stored,
                               seconds)
                << std::flush;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    std::cout << "kind,chunk,level,bytes,probe,stored,seconds\n";
    for (const auto& [kind, directory] : options.kinds) record(kind, content_of(directory), options);
  } catch (const std::exception& error) {
    std::cerr << "level_recorder: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
