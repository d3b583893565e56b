#include "transfer/file_digests.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

/// Large enough that handing a piece to other threads costs nothing beside hashing it (6 ms at 650 MB/s).
constexpr std::size_t piece_bytes = 4_MiB;
/// Ranges of a file that is read in parallel: a thread that is late delays the end by one range only.
constexpr ByteCount range_bytes = 16_MiB;
constexpr std::size_t read_bytes = 1_MiB;

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
}

Error changed_size(ByteCount expected) {
  return Error(ErrorKind::precondition,
               "the file had " + std::to_string(expected) + " bytes and got shorter or longer while it was read", {},
               "read the file again when no process writes to it");
}

/// The digests that grow with every piece.
class Digesting {
 public:
  /// `size`: of the file. The MD5 of a file that is no longer than a part is its ETag too.
  Digesting(ByteCount size, ByteCount part_bytes) : is_etag_apart_(size >= part_bytes), etag_(part_bytes) {}

  /// Adds a piece. `group` computes until it is waited for; `bytes` stay until then.
  void add(flow::TaskGroup& group, flow::ThreadPool& cores, ByteView bytes) {
    group.run(cores, [this, bytes] { whole_.update(bytes); });
    if (!is_etag_apart_) {
      group.run(cores, [this, bytes] { crc_ = crc_of(crc64nvme, bytes, crc_); });
      return;
    }
    group.run(cores, [this, bytes] {
      etag_.update(bytes);
      crc_ = crc_of(crc64nvme, bytes, crc_);
    });
  }
  FileDigests finish(ByteCount size) {
    FileDigests digests{.size = size, .md5 = whole_.finish(), .crc64nvme = crc_};
    digests.etag = is_etag_apart_ ? etag_.finish() : ETag(to_hex_digest(digests.md5));
    return digests;
  }

 private:
  const bool is_etag_apart_;
  Md5 whole_;
  EtagBuilder etag_;
  std::uint64_t crc_ = 0;
};

}  // namespace

FileDigests read_digests(os::ReadableFile& file, const FileReading& reading, flow::Pools pools,
                         flow::MemoryBudget& budget) {
  const ByteCount size = file.size();
  const ByteCount piece = std::clamp<ByteCount>(size + 1, os::page_bytes, piece_bytes);
  const flow::Ticket ticket = budget.acquire(2 * piece, reading.stop);
  Buffer now(piece), next(piece);
  Digesting digesting(size, reading.part_bytes);
  ByteCount offset = 0;
  now.resize(file.read_at(0, now.spare()));
  while (!now.empty()) {
    check_stop(reading.stop);
    if (offset + now.size() > size) throw changed_size(size);
    flow::TaskGroup group;
    digesting.add(group, pools.cores, now.view());
    if (reading.take) group.run(pools.connections, [&] { reading.take(offset, now.view()); });
    next.resize(0);
    try {
      next.resize(file.read_at(offset + now.size(), next.spare()));
    } catch (...) {
      group.fail(std::current_exception());
    }
    group.wait();
    offset += now.size();
    if (reading.moved) reading.moved(now.size());
    std::swap(now, next);
  }
  if (offset != size) throw changed_size(size);
  return digesting.finish(size);
}

std::uint64_t read_crc64nvme(os::ReadableFile& file, ByteCount size, flow::ThreadPool& cores,
                             flow::MemoryBudget& budget, const std::function<void(ByteCount)>& moved,
                             std::stop_token stop) {
  if (file.size() != size) {
    throw Error(ErrorKind::corrupt,
                "the file has " + std::to_string(file.size()) + " bytes, not " + std::to_string(size));
  }
  const std::size_t ranges = (size + range_bytes - 1) / range_bytes;
  std::vector<std::uint64_t> checksums(ranges);
  flow::TaskGroup group;
  for (std::size_t i = 0; i < ranges; ++i) {
    group.wait_until_at_most(2 * cores.size());
    if (group.failed()) break;
    group.run(cores, [&, i] {
      const ByteCount end = std::min(size, (i + 1) * range_bytes);
      const flow::Ticket ticket = budget.acquire(read_bytes, stop);
      Buffer buffer(read_bytes);
      for (ByteCount offset = i * range_bytes; offset < end;) {
        check_stop(stop);
        const std::size_t wanted = std::min<ByteCount>(read_bytes, end - offset);
        if (file.read_at(offset, {buffer.data(), wanted}) != wanted)
          throw Error(ErrorKind::corrupt, "the file got shorter while it was read");
        checksums[i] = crc_of(crc64nvme, {buffer.data(), wanted}, checksums[i]);
        offset += wanted;
        if (moved) moved(wanted);
      }
    });
  }
  group.wait();
  std::uint64_t whole = 0;
  for (std::size_t i = 0; i < ranges; ++i)
    whole = join_crcs(crc64nvme, whole, checksums[i], std::min(size, (i + 1) * range_bytes) - i * range_bytes);
  return whole;
}

}  // namespace bale::transfer
