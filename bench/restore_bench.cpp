// How much faster objects come back when neighbours in an archive are read together than with one GET for each: the
// same objects, in one run.
//
//   restore_bench [--directory DIR] [--endpoint URL] [--archives N] [--objects N] [--bytes N]
//
// 10,000 objects of 10 KB in 20 archives, restored to a directory, on the embedded store or (--endpoint) on a server,
// for frames of the usual size and for small ones. "one GET each" is a ranged read of the archive for each object, 16
// at once; of archives with large frames, where each of them decompresses a frame, a share of the objects is timed, and
// the time multiplied. "plain objects" are the same objects as they were before they were packed, 16 at once. Prints a
// table, and one line of JSON a measurement; the least of several rounds.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>
#include <thread>

#include "base/error.hpp"
#include "catalog/record_list.hpp"
#include "cloud/s3_store.hpp"
#include "embedded/backend.hpp"
#include "jobs/pack/packer.hpp"
#include "jobs/recover/restore.hpp"
#include "transfer/byte_io.hpp"

namespace {

using namespace bale;
namespace fs = std::filesystem;

struct Options {
  fs::path directory = fs::temp_directory_path();
  std::string endpoint;
  std::size_t archives = 20, objects = 500, bytes = 10'000;  ///< objects of each archive, bytes of each object
  int rounds = 3;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--directory")
      options.directory = value;
    else if (name == "--endpoint")
      options.endpoint = value;
    else if (name == "--archives")
      options.archives = std::stoul(value);
    else if (name == "--objects")
      options.objects = std::stoul(value);
    else if (name == "--bytes")
      options.bytes = std::stoul(value);
    else
      throw Error(ErrorKind::invalid, "there is no option " + name);
  }
  return options;
}

/// Lines of numbers and words, which compress to about a third.
std::string content_of(std::size_t bytes, unsigned seed) {
  static constexpr const char* words[] = {"bucket ", "archive ", "object ", "frame ", "region\n"};
  std::mt19937 chance(seed);
  std::string text;
  while (text.size() < bytes) {
    text += words[chance() % std::size(words)];
    text += std::to_string(chance() % 100'000);
  }
  text.resize(bytes);
  return text;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), directory_(options.directory / "bale-restore-bench"), bucket_(fresh_name()) {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    if (options.endpoint.empty()) {
      backend_ = embedded::Backend::open(directory_ / "store", world_);
      store_ = backend_->store(region_);
    } else {
      session_ = std::make_unique<cloud::Session>(
          world_, os::system_processes(),
          cloud::SessionOptions{.endpoint_url = options.endpoint, .region = region_.str()});
      store_ = std::make_unique<cloud::S3Store>(*session_, region_);
    }
    store_->create_bucket(bucket_);
  }
  ~Bench() {
    store_.reset();
    backend_.reset();
    fs::remove_all(directory_);
  }

  void run() {
    put_objects();
    const double plain = least([&] { read_plain(); });
    for (const ByteCount frame : {archive::default_frame_size, ByteCount{256} << 10}) {
      records_ = {};
      pack(frame);
      const double together = least([&] { restore(records_, false); });
      // With large frames each read decompresses megabytes: a part tells enough.
      const std::size_t share = frame > (1 << 20) ? 20 : 1;
      catalog::RecordList part;
      for (std::size_t i = 0; i < records_.size(); i += share) part.add(records_[i]);
      const double alone = least([&] { restore(part, true); }) * static_cast<double>(share);
      report(frame, together, alone, plain);
    }
  }

 private:
  static BucketName fresh_name() {
    return BucketName(fmt::format("restore-bench-{}", std::chrono::system_clock::now().time_since_epoch().count()));
  }

  double least(const std::function<void()>& work) {
    double best = 1e9;
    for (int round = 0; round < options_.rounds; ++round) {
      fs::remove_all(directory_ / "out");
      best = std::min(best, seconds_of(work));
    }
    return best;
  }

  static std::string key_of(std::size_t number) { return fmt::format("{:02}/o{:06}.log", number % 89, number); }

  void put_objects() {
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        for (std::size_t n = next++; n < options_.archives * options_.objects; n = next++) {
          const std::string content = content_of(options_.bytes, static_cast<unsigned>(n));
          store::MemoryBody body(as_bytes(content));
          store_->put({bucket_, ObjectKey(key_of(n))}, body, {});
        }
      });
    }
  }

  void pack(ByteCount frame_size) {
    pack::PackPlan plan;
    plan.source_bucket = plan.outbound_bucket = bucket_;
    plan.source_region = region_;
    plan.archive_prefix = fmt::format("archives-{}/", frame_size);
    plan.level = 3;
    plan.frame_size = frame_size;
    pack::Packer packer(plan, *store_, *store_, world_, log_, pools_, budget_);
    for (std::size_t a = 0; a < options_.archives; ++a) {
      std::vector<pack::Item> items;
      for (std::size_t n = a * options_.objects; n < (a + 1) * options_.objects; ++n) {
        pack::Item item;
        item.key = ObjectKey(key_of(n));
        items.push_back(item);
      }
      const ObjectKey archive = packer.pack(items, {}).archives.at(0).key;
      const auto source = transfer::open_object_source(*store_, {bucket_, archive});
      const auto reader = archive::open_archive(*source);
      for (const catalog::Record& record : catalog::make_records(*reader, world_.clock.now(), archive, {bucket_}))
        records_.add(record);
    }
  }

  void restore(const catalog::RecordList& records, bool alone) {
    recover::RestoreOptions options;
    options.ranges.alone = alone;
    recover::RestoreTarget to;
    to.directory = directory_ / "out";
    std::size_t restored = 0;
    recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *store_; }, nullptr, to,
                         options, world_, pools_, budget_);
    job.run(records, [&](const recover::RestoredObject& object) {
      if (object.error) throw *object.error;
      ++restored;
    });
    if (restored != records.size()) throw Error(ErrorKind::internal, "not all objects were restored");
  }

  void read_plain() {
    fs::create_directories(directory_ / "out");
    std::atomic<std::size_t> next{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&] {
          for (std::size_t n = next++; n < options_.archives * options_.objects; n = next++) {
            const auto stream = store_->get({bucket_, ObjectKey(key_of(n))});
            const std::string content = store::read_all(*stream, options_.bytes);
            os::AtomicFile file(world_.files, directory_ / "out" / fmt::format("o{:06}.log", n));
            file.file().write(as_bytes(content));
            file.commit_without_sync();
          }
        });
      }
    }
    world_.files.sync_filesystem(directory_);
  }

  void report(ByteCount frame, double together, double alone, double plain) {
    const std::size_t objects = options_.archives * options_.objects;
    fmt::print(
        "{} objects of {} in {} archives, frames of {}: together {:.2f} s ({} requests), one GET each {:.2f} s "
        "({:.1f} times as long, wanted 5), plain objects {:.2f} s ({:.1f} times)\n",
        objects, format_bytes(options_.bytes), options_.archives, format_bytes(frame), together,
        requests_of_a_restore(), alone, alone / together, plain, plain / together);
    fmt::print(
        R"({{"bench":"restore","store":"{}","frame_bytes":{},"objects":{},"together":{:.3f},"one_get_each":{:.3f},)"
        R"("plain_objects":{:.3f}}})"
        "\n",
        options_.endpoint.empty() ? "embedded" : "server", frame, objects, together, alone, plain);
    std::cout.flush();
  }
  std::size_t requests_of_a_restore() {
    recover::RestoreOptions options;
    options.dryrun = true;
    recover::RestoreTarget to;
    to.directory = directory_ / "none";
    recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *store_; }, nullptr, to,
                         options, world_, pools_, budget_);
    return job.run(records_, [](const recover::RestoredObject&) {}).requests;
  }

  const Options options_;
  const Region region_{"us-east-1"};
  const fs::path directory_;
  const BucketName bucket_;
  os::World world_ = os::system_world();
  telemetry::Log log_{world_, telemetry::Level::warning, telemetry::Format::text};
  flow::ThreadPool connections_{32, "connections"}, cores_{std::max(1U, std::thread::hardware_concurrency()), "cores"};
  flow::Pools pools_{connections_, cores_};
  flow::MemoryBudget budget_{512ULL << 20};
  std::unique_ptr<embedded::Backend> backend_;
  std::unique_ptr<cloud::Session> session_;
  std::unique_ptr<store::ObjectStore> store_;
  catalog::RecordList records_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Bench(parse(argc, argv)).run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
