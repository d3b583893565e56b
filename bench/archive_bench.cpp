// How close the archive comes to its limit, libzstd on the same bytes in memory, and how much space independent frames
// cost. Prints a table, and one line of JSON a measurement.
//
//   archive_bench [--bytes N] [--levels 3,12] [NAME=DIRECTORY[,DIRECTORY...]]...
//
// Without arguments: about 200 MB of text (headers, Python, documentation) and of binaries (programs, libraries) of
// this machine. A figure is a ratio of times taken in turn in one run, the best of several, so that it holds on a
// machine that is busy with other things as well.
#include <fmt/format.h>
#include <sys/resource.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "archive/deliver.hpp"
#include "archive/reader.hpp"
#include "archive/writer.hpp"
#include "base/text.hpp"
#include "os/files.hpp"

namespace {

using namespace bale;
namespace fs = std::filesystem;

constexpr std::size_t baseline_piece = 8 << 20;  // what issue and docs/benchmarks.md compare with

struct Corpus {
  std::string name;
  std::vector<archive::PlannedMember> members;
  std::vector<std::string> contents;
  ByteCount bytes = 0;
};

/// Shortest times of several runs: on the clock, and of the processors. The latter hardly depend on what else the
/// machine does.
struct Times {
  double wall = 1e9, cpu = 1e9;
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void time_once(Times& best, const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  work();
  best.cpu = std::min(best.cpu, cpu_seconds() - cpu);
  best.wall = std::min(best.wall, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

/// Regular files below the directories, up to `most` bytes, in the order that Bale packs them.
Corpus gather(const std::string& name, const std::vector<std::string>& directories, ByteCount most) {
  Corpus found{name, {}, {}, 0};
  for (const std::string& directory : directories) {
    std::error_code ignored;
    ByteCount taken = 0;
    const auto options = fs::directory_options::skip_permission_denied;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(directory, options, ignored)) {
      if (entry.is_regular_file(ignored) && !entry.is_symlink(ignored)) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      if (taken >= most / directories.size()) break;
      std::ifstream stream(path, std::ios::binary);
      std::string content(std::istreambuf_iterator<char>(stream), {});
      if (!stream || content.empty() || content.size() > most / 4) continue;
      taken += content.size();
      found.members.push_back({path.relative_path().native(), content.size()});
      found.contents.push_back(std::move(content));
    }
    found.bytes += taken;
  }
  Corpus ordered{name, {}, {}, found.bytes};
  for (const std::size_t i : archive::like_beside_like(found.members)) {
    ordered.members.push_back(found.members[i]);
    ordered.contents.push_back(std::move(found.contents[i]));
  }
  return ordered;
}

class CorpusSource final : public archive::MemberSource {
 public:
  explicit CorpusSource(const Corpus& corpus) : corpus_(corpus) {}
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override {
    const ByteView bytes = as_bytes(corpus_.contents[index]).subspan(offset, into.size());
    std::copy(bytes.begin(), bytes.end(), into.begin());
    return from_epoch_ms(1'700'000'000'000);
  }

 private:
  const Corpus& corpus_;
};

class MemorySink final : public transfer::ByteSink {
 public:
  void append(transfer::OutputPiece piece) override { bytes.append(as_text(piece.bytes.view())); }
  void finish() override {}
  ByteCount written() const override { return bytes.size(); }
  std::string name() const override { return "memory"; }
  std::string bytes;
};

class MemorySource final : public transfer::RandomSource {
 public:
  explicit MemorySource(const std::string& bytes) : bytes_(bytes) {}
  ByteCount size() override { return bytes_.size(); }
  void read_at(ByteCount offset, MutableBytes into) override {
    const ByteView part = as_bytes(bytes_).subspan(offset, into.size());
    std::copy(part.begin(), part.end(), into.begin());
  }
  Buffer read_tail(ByteCount most) override {
    Buffer tail(std::min<ByteCount>(most, bytes_.size()));
    tail.resize(tail.capacity());
    read_at(bytes_.size() - tail.size(), {tail.data(), tail.size()});
    return tail;
  }
  std::string name() const override { return "memory"; }

 private:
  const std::string& bytes_;
};

class Nobody final : public archive::FrameVisitor {
 public:
  void frame(std::shared_ptr<const archive::FrameData>, const std::vector<archive::MemberPiece>&) override {}
  void damaged(const archive::Damage& damage) override { throw damage.error; }
};

struct Machine {
  Machine() : budget(512ULL << 20), connections(8, "connection"), cores(std::thread::hardware_concurrency(), "core") {}
  flow::Pools pools() { return {connections, cores}; }
  flow::MemoryBudget budget;
  flow::ThreadPool connections, cores;
};

std::string write(const Corpus& corpus, int level, Machine& machine, archive::WriteResult& result) {
  CorpusSource source(corpus);
  MemorySink sink;
  const auto manifest = [&](const archive::WriteResult& so_far) {
    const std::vector<archive::WrittenMember>& written = so_far.members;
    archive::Manifest whole;
    for (std::size_t i = 0; i < written.size(); ++i) {
      archive::ManifestObject object;
      object.relative_key = corpus.members[i].name;
      object.member = written[i].member;
      object.size = corpus.members[i].size;
      object.sha256 = to_hex_digest(written[i].sha256);
      object.data_offset = written[i].data_offset;
      whole.objects.push_back(std::move(object));
    }
    return std::optional(archive::to_json(whole));
  };
  result =
      archive::write_archive(corpus.members, source, manifest, sink, machine.pools(), machine.budget, {.level = level});
  return std::move(sink.bytes);
}

/// Runs `work(i)` for i in 0..count-1 on all cores.
void on_all_cores(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::thread::hardware_concurrency(); ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    });
  }
}

/// libzstd alone: independent pieces from memory, one context a thread.
void compress_baseline(const std::string& tar, int level) {
  on_all_cores((tar.size() + baseline_piece - 1) / baseline_piece, [&](std::size_t i) {
    thread_local ZSTD_CCtx* const context = ZSTD_createCCtx();
    thread_local std::string out(ZSTD_compressBound(baseline_piece), '\0');
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    const std::string_view piece = std::string_view(tar).substr(i * baseline_piece, baseline_piece);
    ZSTD_compress2(context, out.data(), out.size(), piece.data(), piece.size());
  });
}

struct Span {
  std::size_t at, length, content;
};

std::vector<Span> frames_of(const std::string& file) {
  std::vector<Span> frames;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t length = ZSTD_findFrameCompressedSize(file.data() + at, file.size() - at);
    if (ZSTD_isError(length)) break;
    const auto content = ZSTD_getFrameContentSize(file.data() + at, length);
    if (content != 0 && content < ZSTD_CONTENTSIZE_ERROR) frames.push_back({at, length, content});
    at += length;
  }
  return frames;
}

/// libzstd alone: the archive's own frames from memory, one context and one buffer a thread.
void decompress_baseline(const std::string& file, const std::vector<Span>& frames) {
  on_all_cores(frames.size(), [&](std::size_t i) {
    thread_local ZSTD_DCtx* const context = ZSTD_createDCtx();
    thread_local std::string out(archive::default_frame_size, '\0');
    ZSTD_decompressDCtx(context, out.data(), out.size(), file.data() + frames[i].at, frames[i].length);
  });
}

std::string tar_of(const std::string& file) {
  std::string tar;
  for (const Span& frame : frames_of(file)) {
    const std::size_t before = tar.size();
    tar.resize(before + frame.content);
    ZSTD_decompress(tar.data() + before, frame.content, file.data() + frame.at, frame.length);
  }
  return tar;
}

/// Size of one frame of everything: what `zstd -LEVEL` makes of the tar.
std::size_t one_frame_bytes(const std::string& tar, int level) {
  std::string out(ZSTD_compressBound(tar.size()), '\0');
  return ZSTD_compress(out.data(), out.size(), tar.data(), tar.size(), level);
}

void report(const std::string& corpus, int level, const char* what, double value, double limit, double target) {
  fmt::print("{:<8} {:>5}  {:<10} {:>10.1f} {:>12.1f} {:>7.3f}  (wanted {})\n", corpus, level, what, value, limit,
             value / limit, target);
  fmt::print(stderr,
             "{{\"corpus\":\"{}\",\"level\":{},\"what\":\"{}\",\"value\":{:.3f},\"limit\":{:.3f},\"ratio\":{:.4f}}}\n",
             corpus, level, what, value, limit, value / limit);
}

void measure(const Corpus& corpus, int level, Machine& machine) {
  archive::WriteResult result;
  std::string file = write(corpus, level, machine, result);  // warms contexts and page tables
  const std::string tar = tar_of(file);
  const double megabytes = static_cast<double>(tar.size()) / 1e6;
  const int rounds = level < 6 ? 4 : 2;
  Times ours, limit;
  for (int i = 0; i < rounds; ++i) {
    time_once(ours, [&] { file = write(corpus, level, machine, result); });
    time_once(limit, [&] { compress_baseline(tar, level); });
  }
  report(corpus.name, level, "create", megabytes / ours.wall, megabytes / limit.wall, 0.9);
  report(corpus.name, level, "create-cpu", megabytes / ours.cpu, megabytes / limit.cpu, 0.9);
  report(corpus.name, level, "size", static_cast<double>(file.size()) / 1e6,
         static_cast<double>(one_frame_bytes(tar, level)) / 1e6, 1.015);
  const std::vector<Span> frames = frames_of(file);
  Times reading, decompressing;
  MemorySource source(file);
  const auto reader = archive::open_archive(source);
  for (int i = 0; i < 5; ++i) {
    Nobody nobody;
    time_once(reading, [&] { reader->read({}, nobody, machine.pools(), machine.budget, {}); });
    time_once(decompressing, [&] { decompress_baseline(file, frames); });
  }
  report(corpus.name, level, "read", megabytes / reading.wall, megabytes / decompressing.wall, 0.9);
  report(corpus.name, level, "read-cpu", megabytes / reading.cpu, megabytes / decompressing.cpu, 0.9);
}

int run(int argc, char** argv) {
  ByteCount bytes = 200'000'000;
  std::vector<int> levels{3, 12};
  std::vector<std::pair<std::string, std::vector<std::string>>> corpora;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--bytes" && i + 1 < argc) {
      bytes = parse_bytes(argv[++i]);
    } else if (argument == "--levels" && i + 1 < argc) {
      levels.clear();
      for (const std::string_view level : split(argv[++i], ',')) levels.push_back(std::stoi(std::string(level)));
    } else if (const std::size_t equals = argument.find('='); equals != std::string::npos) {
      std::vector<std::string> directories;
      const std::string list = argument.substr(equals + 1);
      for (const std::string_view directory : split(list, ',')) directories.emplace_back(directory);
      corpora.emplace_back(argument.substr(0, equals), std::move(directories));
    } else {
      fmt::print(stderr, "usage: archive_bench [--bytes N] [--levels 3,12] [NAME=DIRECTORY[,DIRECTORY...]]...\n");
      return 2;
    }
  }
  if (corpora.empty()) {
    corpora = {{"text", {"/usr/include", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/doc"}},
               {"binaries", {"/usr/bin", "/usr/lib/x86_64-linux-gnu"}}};
  }
  Machine machine;
  fmt::print("{:<8} {:>5}  {:<10} {:>10} {:>12} {:>7}\n", "CORPUS", "LEVEL", "WHAT", "BALE", "LIBZSTD", "RATIO");
  for (const auto& [name, directories] : corpora) {
    const Corpus corpus = gather(name, directories, bytes);
    fmt::print("{}: {} files, {:.1f} MB\n", name, corpus.members.size(), static_cast<double>(corpus.bytes) / 1e6);
    for (const int level : levels) measure(corpus, level, machine);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "archive_bench: {}\n", error.what());
    return 1;
  }
}
