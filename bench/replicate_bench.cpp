// How close `replicate` comes to its limits on the embedded backend: libzstd on the same bytes in memory, and the
// store's own durable puts. Prints a table, and one line of JSON a measurement.
//
//   replicate_bench [--bytes N] [--small N] [--rounds N] [--level L] [--directory DIR]      (--small 0: throughput
//   only)
//
// Every ratio is of two times taken in turn in one run, the best of several rounds, so that it holds on a machine that
// is busy with other things as well.
#include <fmt/format.h>
#include <sys/resource.h>
#include <zstd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "catalog/scan.hpp"
#include "embedded/backend.hpp"
#include "jobs/recover/restore.hpp"
#include "service/replication.hpp"
#include "service/setup.hpp"

namespace {

using namespace bale;
namespace fs = std::filesystem;

constexpr std::size_t megabyte = 1'000'000;

struct Options {
  ByteCount bytes = 400'000'000;
  std::size_t small = 10'000;
  int rounds = 3;
  std::vector<int> levels{3, 12};
  fs::path directory = fs::temp_directory_path();
};

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

/// Half text, half programs of this machine, as one run of bytes.
std::string gather(ByteCount bytes) {
  std::string content;
  const auto take = [&](const fs::path& directory, ByteCount until) {
    for (const auto& entry :
         fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied)) {
      if (content.size() >= until) return;
      std::error_code ignored;
      if (!entry.is_regular_file(ignored) || entry.is_symlink(ignored)) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      content.append(std::istreambuf_iterator<char>(file), {});
    }
  };
  take("/usr/include", bytes / 4);
  take("/usr/lib/python3", bytes / 3);
  take("/usr/share", bytes / 2);
  take("/usr/bin", bytes);
  take("/usr/lib", bytes);
  content.resize(std::min<std::size_t>(content.size(), bytes));
  return content;
}

void compress_from_memory(std::string_view content, int level) {
  constexpr std::size_t piece = 8 << 20;
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      ZSTD_CCtx* context = ZSTD_createCCtx();
      std::vector<char> out(ZSTD_compressBound(piece));
      for (std::size_t at = next++ * piece; at < content.size(); at = next++ * piece) {
        const std::string_view in = content.substr(at, piece);
        ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), level);
      }
      ZSTD_freeCCtx(context);
    });
  }
}

/// A store of its own with one rule: a source, a normal and a backup destination in three regions.
class Replica {
 public:
  explicit Replica(const fs::path& directory) : directory_(directory / fmt::format("bale-bench-{}", next_++)) {
    fs::remove_all(directory_);
    backend_ = embedded::Backend::open(directory_, world_);
    for (const Region& region : {source_, copy_, backup_}) {
      stores_[region] = backend_->store(region);
      queues_[region] = backend_->queues(region);
      records_[region] = backend_->records(region);
    }
    config_.settings.stack_name = "bench";
    config::Rule rule;
    rule.source.region = source_;
    rule.source.bucket = BucketName("bench-source");
    rule.destinations = {{copy_, BucketName("bench-copy"), "", "", false},
                         {backup_, BucketName("bench-backup"), "", "", true}};
    config_.rules.push_back(rule);
    service::set_up_replication(config_, ports_, world_, false);
  }
  ~Replica() {
    backend_close();
    fs::remove_all(directory_);
  }

  store::ObjectStore& store() { return *stores_[source_]; }

  /// Puts `content` as objects of `size` bytes, from several threads.
  void put_objects(std::string_view content, std::size_t size, std::size_t count) {
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        for (std::size_t n = next++; n < count; n = next++) {
          const std::size_t at = n * size % (content.size() - size + 1);
          store::MemoryBody body(as_bytes(content.substr(at, size)));
          stores_[source_]->put({BucketName("bench-source"), ObjectKey(fmt::format("{:03}/o{:06}", n % 97, n))}, body,
                                {});
        }
      });
    }
  }

  void run(service::Roles roles, int level) {
    service::ReplicationOptions options;
    options.roles = roles;
    options.until_idle = true;
    options.level = level;
    service::Replication replication(config_, options, ports_, world_, log_, {connections_, cores_}, budget_);
    replication.run();
    if (replication.counts().failures > 0)
      throw Error(ErrorKind::internal, replication.failures().front().error.what());
  }

  struct OneRead {
    ByteCount archive_bytes = 0, bytes_read = 0, object_bytes = 0;
    double seconds = 0;
  };
  /// Restores one object by its catalog record.
  OneRead read_one() {
    std::optional<catalog::Record> record;
    catalog::scan(
        *stores_[backup_], config::catalog_bucket(config_.settings, backup_), "", connections_,
        [&](catalog::Record found) {
          if (found.object_size <= megabyte) record = std::move(found);
        },
        [](const catalog::DamagedFile&) {});
    if (!record) throw Error(ErrorKind::internal, "the catalog is empty");
    OneRead read;
    read.archive_bytes = stores_[backup_]->head({record->archive_bucket, record->archive_key})->size;
    recover::Restore restore([&](const catalog::Record&) -> store::ObjectStore& { return *stores_[backup_]; }, nullptr,
                             {.directory = directory_ / "out"}, {.overwrite = true}, world_, {connections_, cores_},
                             budget_);
    Times times;
    for (int i = 0; i < 5; ++i) {
      fs::remove_all(directory_ / "out");
      time_once(times, [&] {
        restore.run(catalog::RecordList({*record}), [&](const recover::RestoredObject& object) {
          if (object.error) throw *object.error;
          read.bytes_read = object.bytes_read;
        });
      });
    }
    read.object_bytes = record->object_size.value_or(0);
    read.seconds = times.wall;
    return read;
  }

 private:
  void backend_close() {
    stores_.clear();
    queues_.clear();
    records_.clear();
    backend_.reset();
  }
  static inline int next_ = 0;
  const Region source_{"eu-central-1"}, copy_{"eu-west-1"}, backup_{"us-east-1"};
  fs::path directory_;
  os::World world_ = os::system_world();
  telemetry::Log log_{world_, telemetry::Level::error, telemetry::Format::text};
  flow::ThreadPool connections_{32, "connections"}, cores_{std::max(1U, std::thread::hardware_concurrency()), "cores"};
  flow::MemoryBudget budget_{1ULL << 30};
  std::unique_ptr<embedded::Backend> backend_;
  std::map<Region, std::unique_ptr<store::ObjectStore>> stores_;
  std::map<Region, std::unique_ptr<queue::MessageQueue>> queues_;
  std::map<Region, std::unique_ptr<records::RecordStore>> records_;
  service::Ports ports_{[this](const Region& r) -> store::ObjectStore& { return *stores_.at(r); },
                        [this](const Region& r) -> queue::MessageQueue& { return *queues_.at(r); },
                        [this](const Region& r) -> records::RecordStore& { return *records_.at(r); }};
  config::ReplicationConfig config_;
};

void bench_throughput(const Options& options, std::string_view content, int level) {
  const std::size_t count = content.size() / megabyte;
  Times zstd, source, all;
  for (int round = 0; round < options.rounds; ++round) {
    time_once(zstd, [&] { compress_from_memory(content.substr(0, count * megabyte), level); });
    {
      Replica replica(options.directory);
      replica.put_objects(content, megabyte, count);
      time_once(source, [&] { replica.run({.source = true}, level); });
    }
    Replica replica(options.directory);
    replica.put_objects(content, megabyte, count);
    time_once(all, [&] { replica.run({.source = true, .relay = true, .target = true}, level); });
  }
  const double megabytes = static_cast<double>(count);
  fmt::print(
      "level {:2}  libzstd {:7.1f} MB/s   source {:7.1f} MB/s, ratio {:.2f} (CPU {:.2f})   run {:7.1f} MB/s, ratio "
      "{:.2f} (CPU {:.2f})\n",
      level, megabytes / zstd.wall, megabytes / source.wall, zstd.wall / source.wall, zstd.cpu / source.cpu,
      megabytes / all.wall, zstd.wall / all.wall, zstd.cpu / all.cpu);
  fmt::print(
      R"({{"bench":"replicate","level":{},"objects":{},"libzstd_mb_s":{:.1f},"source_ratio":{:.3f},"run_ratio":{:.3f},)"
      R"("source_cpu_ratio":{:.3f},"run_cpu_ratio":{:.3f}}})"
      "\n",
      level, count, megabytes / zstd.wall, zstd.wall / source.wall, zstd.wall / all.wall, zstd.cpu / source.cpu,
      zstd.cpu / all.cpu);
}

void bench_small(const Options& options, std::string_view content) {
  constexpr std::size_t size = 4096;
  Times put, all;
  for (int round = 0; round < options.rounds; ++round) {
    Replica replica(options.directory);
    time_once(put, [&] { replica.put_objects(content, size, options.small); });
    time_once(all, [&] { replica.run({.source = true, .relay = true, .target = true}, 12); });
  }
  const double objects = static_cast<double>(options.small);
  fmt::print("4 KB objects: {:.0f} durable puts/s into the source, replicate run {:.0f} objects/s\n",
             objects / put.wall, objects / all.wall);
  fmt::print(R"({{"bench":"replicate_small","objects":{},"puts_per_second":{:.0f},"objects_per_second":{:.0f}}})"
             "\n",
             options.small, objects / put.wall, objects / all.wall);
}

/// Reads one object out of archives of growing size. The content is hashes: it hardly compresses.
void bench_one_object(const Options& options) {
  for (const std::size_t mebibytes : {64, 256, 1100}) {
    std::string noise;
    std::uint64_t state = mebibytes;
    while (noise.size() < (16 << 20)) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      noise.append(reinterpret_cast<const char*>(&state), sizeof state);
    }
    Replica replica(options.directory);
    // A large object fills the archive; the small one beside it is the one that is read.
    store::MemoryBody body(std::vector<ByteView>(mebibytes / 16, as_bytes(noise)));
    replica.store().put({BucketName("bench-source"), ObjectKey("large")}, body, {});
    replica.put_objects(noise, 100'000, 1);
    replica.run({.source = true, .relay = true, .target = true}, 1);
    const Replica::OneRead read = replica.read_one();
    fmt::print("one object of {} bytes out of an archive of {}: {} read, {:.1f} ms\n", read.object_bytes,
               format_bytes(read.archive_bytes), format_bytes(read.bytes_read), read.seconds * 1000);
    fmt::print(R"({{"bench":"one_object","archive_bytes":{},"bytes_read":{},"object_bytes":{},"milliseconds":{:.2f}}})"
               "\n",
               read.archive_bytes, read.bytes_read, read.object_bytes, read.seconds * 1000);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--bytes")
      options.bytes = std::stoull(value);
    else if (name == "--small")
      options.small = std::stoull(value);
    else if (name == "--rounds")
      options.rounds = std::stoi(value);
    else if (name == "--level")
      options.levels = {std::stoi(value)};
    else if (name == "--directory")
      options.directory = value;
    else
      throw Error(ErrorKind::invalid, "unknown option " + name);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each figure as soon as it is there, also into a pipe
    const Options options = parse(argc, argv);
    const std::string content = gather(options.bytes);
    fmt::print("{} processors; objects of 1 MB, {} of text and programs\n", std::thread::hardware_concurrency(),
               format_bytes(content.size()));
    for (const int level : options.levels) bench_throughput(options, content, level);
    if (options.small > 0) bench_small(options, content);
    if (options.small > 0) bench_one_object(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "replicate_bench: " << error.what() << "\n";
    return 1;
  }
}
