// Listings of a bucket with millions of keys below one prefix: a server process makes up the pages, each after a pause.
//
//   listing_bench [KEYS [MILLISECONDS [NAMES]]]   5,000,000 keys, 50 ms a page; NAMES: numbers (default) or hashes
//
// It prints, for one lister and for 16: wall time, CPU of this process (the server is another), the largest resident
// memory so far, requests and the pages that there are; then two sequences side by side, as a comparison reads them.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/text.hpp"
#include "cloud/s3_store.hpp"
#include "os/process.hpp"
#include "store/parallel_listing.hpp"
#include "support/scripted_s3_store.hpp"
#include "support/scripted_server.hpp"

using namespace bale;

namespace {

constexpr std::uint64_t page_keys = 1000;

/// Names in ascending order, by their number.
struct Names {
  std::uint64_t count = 0;
  bool are_hashes = false;

  /// Numbers of a hash lie evenly over 64 bits, with a scatter below the distance between two.
  std::uint64_t hash(std::uint64_t i) const {
    const std::uint64_t step = UINT64_MAX / count;
    return i * step + (i * 0x9E3779B97F4A7C15ULL) % step;
  }
  std::string at(std::uint64_t i) const {
    return are_hashes ? fmt::format("data/{:016x}.bin", hash(i)) : fmt::format("data/{:012}.bin", i);
  }
  /// The number of the first name that is greater than `key`.
  std::uint64_t first_after(const std::string& key) const {
    std::uint64_t low = 0, high = count;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (at(middle) <= key)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
};

std::string parameter(const std::string& target, const std::string& name) {
  const std::size_t found = target.find(name + "=");
  if (found == std::string::npos) return {};
  const std::size_t begin = found + name.size() + 1;
  return percent_decode(target.substr(begin, target.find('&', begin) - begin));
}

std::string page_of(const Names& names, const std::string& target) {
  const std::string token = parameter(target, "continuation-token");
  const std::string after = token.empty() ? parameter(target, "start-after") : token;
  const std::uint64_t first = names.first_after(after), last = std::min(first + page_keys, names.count);
  std::string xml =
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<EncodingType>url</EncodingType>";
  const bool is_truncated = last < names.count;
  xml += is_truncated ? "<IsTruncated>true</IsTruncated>" : "<IsTruncated>false</IsTruncated>";
  for (std::uint64_t i = first; i < last; ++i) {
    xml +=
        "<Contents><Key>" + percent_encode(names.at(i)) +
        "</Key><LastModified>2026-01-23T09:05:07.000Z</LastModified><ETag>&quot;0cc175b9c0f1b6a831c399e269772661&quot;"
        "</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        "<Size>12345</Size><StorageClass>STANDARD</StorageClass></Contents>";
  }
  if (is_truncated) xml += "<NextContinuationToken>" + names.at(last - 1) + "</NextContinuationToken>";
  return xml + "</ListBucketResult>";
}

void serve(bale::testing::Peer& peer, const Names& names, std::chrono::milliseconds pause) {
  while (std::optional<bale::testing::Received> request = peer.read_head()) {
    const auto until = std::chrono::steady_clock::now() + pause;
    const std::string page = page_of(names, request->target);
    std::this_thread::sleep_until(until);
    if (!peer.send(bale::testing::answer(200, page, {{"x-amz-request-id", "r"}}))) return;
  }
}

double cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double peak_mib() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_maxrss) / 1024;
}

template <typename Work>
double timed(const char* what, std::uint64_t pages, const Work& work) {
  const double cpu = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  const auto [keys, requests] = work();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double used = cpu_seconds() - cpu;
  fmt::print(
      "{:<24} {:9} keys {:7.2f} s wall {:6.2f} s CPU ({:.2f} s a million) {:6.1f} MiB at most  {} requests for {} "
      "pages\n",
      what, keys, wall, used, used * 1e6 / static_cast<double>(std::max<std::uint64_t>(keys, 1)), peak_mib(), requests,
      pages);
  std::fflush(stdout);
  return wall;
}

struct Counted {
  std::uint64_t keys = 0, requests = 0;
};

Counted count(store::ObjectSequence& sequence) {
  Counted counted;
  while (sequence.next() != nullptr) ++counted.keys;
  counted.requests = sequence.requests();
  return counted;
}

}  // namespace

int main(int argc, char** argv) {
  const Names names{argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5'000'000,
                    argc > 3 && std::string(argv[3]) == "hashes"};
  const std::chrono::milliseconds pause(argc > 2 ? std::atoi(argv[2]) : 50);
  int port_pipe[2];
  if (::pipe(port_pipe) != 0) return 1;
  const pid_t server_process = ::fork();
  if (server_process == 0) {
    bale::testing::ScriptedServer server([&](bale::testing::Peer& peer) { serve(peer, names, pause); });
    const std::uint16_t port = server.port();
    if (::write(port_pipe[1], &port, sizeof port) != sizeof port) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  std::uint16_t port = 0;
  if (::read(port_pipe[0], &port, sizeof port) != sizeof port) return 1;

  bale::testing::TestCredentials environment;
  os::World real = os::system_world();
  os::World world{real.clock, real.entropy, environment, real.files, real.terminal, {}};
  cloud::Session session(world, os::system_processes(),
                         {.endpoint_url = fmt::format("http://127.0.0.1:{}", port), .region = "eu-west-1"});
  cloud::S3Store store(session, Region("eu-west-1"));
  const BucketName bucket("bucket");
  const store::SequenceOptions options{.prefix = "data/"};
  const std::uint64_t pages = (names.count + page_keys - 1) / page_keys;

  const double many = timed("16 listers", pages, [&] {
    flow::ThreadPool pool(16, "listers");
    store::ParallelListing listing(store, bucket, options, pool, {.listers = 16});
    return count(listing);
  });
  timed("two sequences of 16", 2 * pages, [&] {
    flow::ThreadPool pool(32, "listers");
    store::ParallelListing left(store, bucket, options, pool, {.listers = 16}),
        right(store, bucket, options, pool, {.listers = 16});
    Counted all;
    const store::ListedObject *one = left.next(), *other = right.next();
    for (; one != nullptr && other != nullptr && one->key == other->key; one = left.next(), other = right.next())
      ++all.keys;
    if (one != other) fmt::print("the two differ\n");
    all.requests = left.requests() + right.requests();
    return all;
  });
  // One lister takes long: a tenth of the keys says what all take.
  const std::uint64_t tenth = std::max<std::uint64_t>(names.count / 10, 1);
  const double one = timed("1 lister, a tenth", (tenth + page_keys - 1) / page_keys, [&] {
    flow::ThreadPool pool(1, "lister");
    store::SequenceOptions part = options;
    part.until = names.at(tenth - 1);
    store::StreamedListing listing(store, bucket, part, pool);
    return count(listing);
  });
  fmt::print("16 listers are {:.1f} times as fast as one\n", one * 10 / many);
  ::kill(server_process, SIGTERM);
  ::waitpid(server_process, nullptr, 0);
  return 0;
}
